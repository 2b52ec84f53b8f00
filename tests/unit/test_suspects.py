"""Which pieces of a blob with a wrong digest are fetched again first."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from headway.distribution.suspects import EDGE_BYTES, MAX_EDGES, NEAR_BYTES, most_suspect_first

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
