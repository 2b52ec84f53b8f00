"""What the sources of one blob have shown while it was fetched, and whose turn it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence

from headway.distribution.skipping import RangeRefusedError
from headway.errors import HeadwayError, WrongSizeError

REFUSALS_OF_RANGES = 2
SAYINGS_OF_SIZE = 3  # a cache or a portal in between may say it once, and not a moment later


class Sources:
    """Remembers it, by index.

    Args:
        count: How many there are, at least one; they are tried in order.
        whole: Those that are known to ignore ranges.

    Attributes:
        current: The one that is asked now.
        failures: Why each was left that has been since the last new byte, the latest last.
    """

    def __init__(self, count: int, whole: Collection[int]) -> None:
        self.current = 0
        self.failures: dict[int, HeadwayError] = {}
        self._due = [-math.inf] * count  # when each may be asked again; infinity where it will not mend
        self._whole = set(whole)
        self._ranged: set[int] = set()
        self._refusals: Counter[int] = Counter()  # of ranges
        self._sizes: Counter[tuple[int, int]] = Counter()  # wrong ones that were said, without a new byte

    # --- whose turn it is ---

    def seconds_until_due(self, now: float) -> float:
        """Return in how many seconds the current one may be asked; 0 or less for now."""
        return self._due[self.current] - now

    def others(self) -> list[int]:
        """Return those that may have the blob, the ones behind the current one first, without that."""
        count = len(self._due)
        order = [(self.current + step) % count for step in range(1, count)]
        return [source for source in order if self._due[source] < math.inf]

    def turn_to(self, sources: Sequence[int]) -> None:
        """Let the one of them be the current one that may be asked soonest."""
        self.current = min(sources, key=lambda source: self._due[source])

    def leave(self, source: int) -> None:
        """Ask one no more: it will not mend."""
        self._due[source] = math.inf

    def ask_from(self, source: int, when: float) -> None:
        """Ask one again from a moment on."""
        self._due[source] = when

    def not_before(self, source: int, when: float) -> None:
        """The same, where nothing later was said before."""
        self._due[source] = max(self._due[source], when)

    # --- what they have shown ---

    @property
    def ignores_ranges(self) -> bool:
        """Whether the current one sends everything where a part is asked for."""
        return self.current in self._whole

    @property
    def refuses_ranges(self) -> bool:
        """Whether the current one is better asked without any."""
        return self._refusals[self.current] >= REFUSALS_OF_RANGES

    def has_served_ranges(self, source: int) -> bool:
        """Tell whether one has: another server behind its name may do so again."""
        return source in self._ranged

    def served_range(self, source: int) -> None:
        """Take note that one has."""
        self._ranged.add(source)

    def ignored_range(self, source: int) -> bool:
        """Take note that one has sent everything; tell whether that was known."""
        is_known = source in self._whole
        self._whole.add(source)
        return is_known

    def failed(self, source: int, error: HeadwayError) -> None:
        """Take note of why one was left."""
        self.failures.pop(source, None)
        self.failures[source] = error

    def brought(self) -> None:
        """Take note of a new byte."""
        self.failures.clear()
        self._sizes.clear()

    def count(self, error: HeadwayError, *, may_serve_ranges: bool) -> None:
        """Take note of what an error says of the current one, which was asked alone.

        One that serves no ranges is asked for the whole: some of what is held comes again, but it ends. One that says
        the same wrong size each time is left: what it has is not this blob.
        """
        if isinstance(error, RangeRefusedError) and not may_serve_ranges:
            self._refusals[self.current] += 1
            if self.refuses_ranges:
                self._whole.add(self.current)
        if isinstance(error, WrongSizeError):
            said = self.current, error.size
            self._sizes[said] += 1
            error.retryable = self._sizes[said] < SAYINGS_OF_SIZE
