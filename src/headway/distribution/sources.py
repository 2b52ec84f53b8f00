"""The sources of one blob: what each has done while the blob was fetched, and which one to ask next."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence

from headway.distribution.skipping import RangeRefusedError
from headway.errors import HeadwayError, WrongSizeError

REFUSALS_OF_RANGES = 2
SAYINGS_OF_SIZE = 3  # a cache or a portal in between may name a wrong size once, and not a moment later


class Sources:
    """The sources, by index.

    Args:
        count: How many there are, at least one; they are tried in order.
        whole: Those that are known to ignore ranges.

    Attributes:
        current: The one to ask now.
        failures: The last error of each source that has failed since the last new byte, the latest last.
    """

    def __init__(self, count: int, whole: Collection[int]) -> None:
        self.current = 0
        self.failures: dict[int, HeadwayError] = {}
        self._due = [-math.inf] * count  # when each may be asked again; infinity for one that is given up
        self._whole = set(whole)
        self._ranged: set[int] = set()
        self._refusals: Counter[int] = Counter()  # refused ranges, by source
        self._sizes: Counter[tuple[int, int]] = Counter()  # wrong sizes since the last new byte, by source and size

    # --- whose turn it is ---

    def seconds_until_due(self, now: float) -> float:
        """Return in how many seconds the current source may be asked; 0 or less if it may be asked now."""
        return self._due[self.current] - now

    def others(self) -> list[int]:
        """Return the sources other than the current one that may have the blob, beginning behind it."""
        count = len(self._due)
        order = [(self.current + step) % count for step in range(1, count)]
        return [source for source in order if self._due[source] < math.inf]

    def turn_to(self, sources: Sequence[int]) -> None:
        """Make the source among `sources` that may be asked soonest the current one."""
        self.current = min(sources, key=lambda source: self._due[source])

    def leave(self, source: int) -> None:
        """Give a source up."""
        self._due[source] = math.inf

    def ask_from(self, source: int, when: float) -> None:
        """Let a source be asked again from `when` on."""
        self._due[source] = when

    def not_before(self, source: int, when: float) -> None:
        """Let a source not be asked before `when`, or before a later time that was set already."""
        self._due[source] = max(self._due[source], when)

    # --- what they have shown ---

    @property
    def ignores_ranges(self) -> bool:
        """Whether the current source sends the whole blob when a range is requested."""
        return self.current in self._whole

    @property
    def refuses_ranges(self) -> bool:
        """Whether to ask the current source without a range, since it has refused ranges too often."""
        return self._refusals[self.current] >= REFUSALS_OF_RANGES

    def has_served_ranges(self, source: int) -> bool:
        """Tell whether a source has ever honoured a range; if so, another server behind its name may do it again."""
        return source in self._ranged

    def served_range(self, source: int) -> None:
        """Note that a source has honoured a range."""
        self._ranged.add(source)

    def ignored_range(self, source: int) -> bool:
        """Note that a source has ignored a range; tell whether that was known."""
        is_known = source in self._whole
        self._whole.add(source)
        return is_known

    def failed(self, source: int, error: HeadwayError) -> None:
        """Note the last error of a source."""
        self.failures.pop(source, None)
        self.failures[source] = error

    def brought(self) -> None:
        """Note that a new byte has arrived."""
        self.failures.clear()
        self._sizes.clear()

    def count(self, error: HeadwayError, *, may_serve_ranges: bool) -> None:
        """Count an error of the current source, of which no other request was running.

        A source that keeps refusing ranges is asked for the whole blob: some bytes come again, but it comes to an end.
        One that keeps naming the same wrong size is given up, for it does not have this blob.
        """
        if isinstance(error, RangeRefusedError) and not may_serve_ranges:
            self._refusals[self.current] += 1
            if self.refuses_ranges:
                self._whole.add(self.current)
        if isinstance(error, WrongSizeError):
            said = self.current, error.size
            self._sizes[said] += 1
            error.retryable = self._sizes[said] < SAYINGS_OF_SIZE
