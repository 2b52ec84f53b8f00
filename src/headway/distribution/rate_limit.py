"""A rate that many transfers share and none exceeds. No I/O, no clock.

Rule 1: it is a bucket that holds next to nothing: who has received must wait until that was due, so that every
        second looks like every other.
Rule 2: what nobody used is lost: a pause is not made up for by a burst.
"""

from __future__ import annotations

SLACK_SECONDS = 0.05
"""How much may have been left unused and still be used: timers are late by about so much."""


class RateLimit:
    """A limit on bytes a second, for all who ask it. Calls must not overlap: the caller has the lock.

    Attributes:
        rate: Bytes a second; None for no limit.
    """

    def __init__(self, rate: float | None = None) -> None:
        self.rate = rate
        self._due = 0.0

    def change(self, rate: float | None, *, now: float) -> None:
        """Keep to another rate from now on; what was received and is not yet due is due as this one has it."""
        if self.rate is not None:
            self._due = now if rate is None else now + (self._due - now) * self.rate / rate
        self.rate = rate

    def took(self, count: int, *, now: float) -> float:
        """Report bytes that were received; return how many seconds to wait before the next ones are.

        Args:
            count: How many.
            now: Monotonic time, in seconds.
        """
        if self.rate is None:
            return 0.0
        self._due = max(self._due, now - SLACK_SECONDS) + count / self.rate
        return max(0.0, self._due - now)
