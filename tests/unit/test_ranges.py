"""Ranges, against a plain set of offsets."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.distribution.ranges import Ranges

offsets = st.integers(0, 40)
intervals = st.lists(st.tuples(offsets, offsets), max_size=12)


def model(pairs: list[tuple[int, int]]) -> set[int]:
    return {offset for start, end in pairs for offset in range(start, end)}


def offsets_of(pairs: Ranges) -> set[int]:
    return model(list(pairs))


@given(intervals)
def test_the_same_bytes_are_held_as_in_a_set(pairs: list[tuple[int, int]]) -> None:
    ranges = Ranges(pairs)

    assert offsets_of(ranges) == model(pairs)
    assert ranges.total == len(model(pairs))


@given(intervals)
def test_intervals_are_sorted_not_empty_and_apart(pairs: list[tuple[int, int]]) -> None:
    ranges = Ranges(pairs)

    assert all(start < end for start, end in ranges)
    assert all(end < start for (_, end), (start, _) in pairwise(ranges))


@given(intervals, offsets, offsets)
def test_adding_tells_how_many_bytes_are_new(pairs: list[tuple[int, int]], start: int, end: int) -> None:
    ranges = Ranges(pairs)

    added = ranges.add(start, end)

    assert added == len(set(range(start, end)) - model(pairs))


@given(intervals, offsets)
def test_the_run_from_an_offset_ends_at_the_first_byte_not_held(pairs: list[tuple[int, int]], offset: int) -> None:
    ranges, held = Ranges(pairs), model(pairs)

    end = ranges.held_from(offset)

    assert set(range(offset, end)) <= held
    assert end not in held


@given(intervals, offsets)
def test_gaps_are_what_is_not_held(pairs: list[tuple[int, int]], size: int) -> None:
    gaps = list(Ranges(pairs).gaps(size))

    assert model(gaps) == set(range(size)) - model(pairs)
    assert all(end < start for (_, end), (start, _) in pairwise(gaps))


@given(intervals)
def test_the_order_in_which_pieces_arrive_does_not_matter(pairs: list[tuple[int, int]]) -> None:
    assert Ranges(pairs) == Ranges(reversed(pairs))


@given(intervals, offsets, offsets)
def test_a_copy_is_independent(pairs: list[tuple[int, int]], start: int, end: int) -> None:
    ranges = Ranges(pairs)

    ranges.copy().add(start, end)

    assert ranges == Ranges(pairs)


@pytest.mark.parametrize(
    ("pairs", "size", "gaps"),
    [
        ([], 0, []),
        ([], 5, [(0, 5)]),
        ([(0, 5)], 5, []),
        ([(0, 2)], 5, [(2, 5)]),
        ([(3, 5)], 5, [(0, 3)]),
        ([(1, 2), (3, 9)], 5, [(0, 1), (2, 3)]),
        ([(5, 9)], 5, [(0, 5)]),
    ],
)
def test_a_blob_is_complete_when_it_has_no_gaps(
    pairs: list[tuple[int, int]], size: int, gaps: list[tuple[int, int]]
) -> None:
    assert list(Ranges(pairs).gaps(size)) == gaps
    assert Ranges(pairs).covers(size) is not bool(gaps)


def test_pieces_that_touch_become_one() -> None:
    ranges = Ranges([(0, 4), (8, 12), (4, 8)])

    assert repr(ranges) == "Ranges([(0, 12)])"


def test_ranges_are_equal_to_ranges_only() -> None:
    assert Ranges([(0, 1)]) != [(0, 1)]


def test_ranges_may_change_while_they_are_walked() -> None:
    ranges = Ranges([(0, 1), (2, 3)])

    walk = iter(ranges)
    ranges.add(0, 10)

    assert list(walk) == [(0, 1), (2, 3)]


def test_ranges_that_change_have_no_hash() -> None:
    with pytest.raises(TypeError):
        hash(Ranges())


@given(intervals, offsets, offsets)
def test_gaps_between_two_offsets_are_what_is_not_held_there(pairs: list[tuple[int, int]], low: int, high: int) -> None:
    gaps = list(Ranges(pairs).gaps_between(low, high))

    assert model(gaps) == set(range(low, high)) - model(pairs)
    assert all(start < end for start, end in gaps)
    assert all(end < start for (_, end), (start, _) in pairwise(gaps))
