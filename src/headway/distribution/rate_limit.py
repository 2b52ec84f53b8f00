"""A rate limit that many transfers share. No I/O, no clock.

Rule 1: it is a bucket that holds next to nothing: whoever has received bytes waits until they were due, so that the
        flow is even.
Rule 2: unused rate is lost: there is no burst after a pause.
"""

from __future__ import annotations

SLACK_SECONDS = 0.05
"""How much unused time may still be used, which is about how late timers are."""


class RateLimit:
    """A limit on bytes a second, shared by all callers. Calls must not overlap: the caller holds a lock.

    Attributes:
        rate: Bytes a second; None for no limit.
    """

    def __init__(self, rate: float | None = None) -> None:
        self.rate = rate
        self._due = 0.0

    def change(self, rate: float | None, *, now: float) -> None:
        """Change the rate; bytes that were received and are not due yet become due by the new one."""
        if self.rate is not None:
            self._due = now if rate is None else now + (self._due - now) * self.rate / rate
        self.rate = rate

    def took(self, count: int, *, now: float) -> float:
        """Report received bytes; return how many seconds to wait before receiving more.

        Args:
            count: How many bytes.
            now: Monotonic time, in seconds.
        """
        if self.rate is None:
            return 0.0
        self._due = max(self._due, now - SLACK_SECONDS) + count / self.rate
        return max(0.0, self._due - now)
