"""Which pieces of a blob with a wrong digest are fetched again first."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from headway.distribution.ranges import Ranges
from headway.distribution.spread import Fetch
from headway.distribution.suspects import EDGE_BYTES, MAX_EDGES, NEAR_BYTES, PIECE_BYTES, Doubts, most_suspect_first

MIB = 1 << 20
SIZE = 100 * MIB


@given(st.integers(0, SIZE), st.none() | st.integers(0, SIZE), st.lists(st.integers(0, SIZE), max_size=20))
def test_every_byte_comes_once(size: int, failed_at: int | None, edges: list[int]) -> None:
    order = most_suspect_first(size, failed_at=failed_at, edges=edges)

    by_offset = sorted(order)
    assert all(start < end for start, end in order)
    assert all(end == start for (_, end), (start, _) in pairwise(by_offset))
    assert [by_offset[0][0], by_offset[-1][1]] == [0, size] if size else not order


def test_the_last_bytes_that_were_read_before_unpacking_failed_come_first() -> None:
    order = most_suspect_first(SIZE, failed_at=40 * MIB, edges=[])

    assert order[0] == (40 * MIB - NEAR_BYTES, 40 * MIB)


def test_what_lies_behind_the_failure_comes_last() -> None:
    order = most_suspect_first(SIZE, failed_at=40 * MIB, edges=[])

    assert order[-1] == (40 * MIB, SIZE)


def test_where_nothing_failed_the_places_where_connections_met_come_first() -> None:
    order = most_suspect_first(SIZE, failed_at=None, edges=[70 * MIB, 20 * MIB])

    assert order[:2] == [(each - EDGE_BYTES, each + EDGE_BYTES) for each in (20 * MIB, 70 * MIB)]


def test_too_many_of_them_say_nothing() -> None:
    edges = [number * MIB for number in range(1, MAX_EDGES + 2)]

    assert most_suspect_first(SIZE, failed_at=None, edges=edges) == [(0, SIZE)]


# --- what is compared -------------------------------------------------------------------------------------------


def said(doubts: Doubts, start: int, end: int, *, source: int = 0, differs: bool = False) -> None:
    doubts.said(Fetch(source, start, SIZE, 0, position=end), differs=differs)


def test_before_a_wrong_digest_nothing_is_compared() -> None:
    doubts = Doubts(SIZE, Ranges(), sources=1)

    said(doubts, 0, SIZE)

    assert not doubts.have_begun
    assert doubts.are_over


def test_what_is_compared_without_a_difference_is_done_with_and_the_rest_follows() -> None:
    doubts = Doubts(SIZE, Ranges([(0, SIZE)]), sources=1)
    doubts.wrong(40 * MIB)
    start, end = doubts.first(whole=False)

    said(doubts, start, start + 1000)
    rest = doubts.first(whole=False)
    said(doubts, start + 1000, end)

    assert rest == (start + 1000, end)
    assert doubts.first(whole=False) != rest
    assert not doubts.are_over


def test_a_difference_is_looked_at_at_once_and_each_one_more_after_more_bytes() -> None:
    doubts = Doubts(SIZE, Ranges([(0, SIZE)]), sources=1)
    doubts.wrong(None)

    said(doubts, 0, 1000, differs=True)
    was_over = doubts.are_over
    doubts.wrong(None)

    assert was_over
    assert not doubts.are_over
    assert doubts.first(whole=False) == (1000, SIZE)
    assert doubts.check_bytes == 2 * PIECE_BYTES


def test_where_connections_met_counts_whoever_sent_what() -> None:
    doubts = Doubts(SIZE, Ranges([(0, 20 * MIB)]), sources=1)
    said(doubts, 20 * MIB, SIZE)

    doubts.wrong(None)

    assert doubts.first(whole=False) == (20 * MIB - EDGE_BYTES, 20 * MIB + EDGE_BYTES)


def test_of_who_ignores_ranges_everything_is_compared_in_one_piece() -> None:
    doubts = Doubts(SIZE, Ranges([(0, SIZE)]), sources=1)

    doubts.wrong(40 * MIB)

    assert doubts.first(whole=True) == (0, SIZE)


def test_a_source_is_asked_only_for_what_it_has_not_said() -> None:
    doubts = Doubts(SIZE, Ranges(), sources=2)
    said(doubts, 0, SIZE)
    said(doubts, 10, 30, source=1)

    doubts.ask(1)

    assert doubts.unsaid_by(0) == []
    assert doubts.unsaid_by(1) == [(0, 10), (30, SIZE)]
    assert doubts.first(whole=False) == (0, 10)
