"""A set of byte offsets: the bytes of a blob that are held."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """A set of byte offsets as sorted half-open intervals that neither touch nor overlap.

    Args:
        intervals: Pairs ``(start, end)`` in any order.
    """

    __slots__ = ("_ends", "_starts")

    def __init__(self, intervals: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in intervals:
            self.add(start, end)

    def add(self, start: int, end: int) -> int:
        """Add ``[start, end)`` and return how many of its bytes were not held before."""
        if start >= end:
            return 0
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        overlap = sum(max(0, min(end, self._ends[i]) - max(start, self._starts[i])) for i in range(first, last))
        low = min(start, self._starts[first]) if first < last else start
        high = max(end, self._ends[last - 1]) if first < last else end
        self._starts[first:last] = [low]
        self._ends[first:last] = [high]
        return end - start - overlap

    def held_from(self, offset: int) -> int:
        """Return the end of the unbroken run that includes `offset`; `offset` itself where that byte is not held."""
        index = bisect_right(self._starts, offset) - 1
        return max(offset, self._ends[index]) if index >= 0 else offset

    def gaps(self, size: int) -> Iterator[tuple[int, int]]:
        """Yield the intervals of ``[0, size)`` that are not held, in order."""
        return self.gaps_between(0, size)

    def gaps_between(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Yield the intervals of ``[low, high)`` that are not held, in order."""
        position = low
        for index in range(bisect_right(self._ends, low), len(self._ends)):
            start, end = self._starts[index], self._ends[index]
            if start >= high:
                break
            if position < start:
                yield position, start
            position = end
        if position < high:
            yield position, high

    def covers(self, size: int) -> bool:
        """Tell whether all of ``[0, size)`` is held."""
        return self.held_from(0) >= size

    @property
    def total(self) -> int:
        """How many bytes are held."""
        return sum(self._ends) - sum(self._starts)

    def copy(self) -> Ranges:
        """Return an independent copy."""
        other = Ranges()
        other._starts, other._ends = self._starts[:], self._ends[:]
        return other

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts[:], self._ends[:], strict=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Ranges({list(self)})"
