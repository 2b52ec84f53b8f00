"""When a connection is silent or slow enough to be dropped (architecture, section 3, "Retrying").

Rule 1: silence is judged against how this connection behaved before; a link that breathes every 4 seconds may.
Rule 2: slow is not broken. A trickle is dropped only where at least four times its rate was seen in the last 5 minutes.
Rule 3: after such a drop the old rate is forgotten: if the next connection is no faster, the link is slow now.
"""

from __future__ import annotations

from collections import deque

MIN_STALL_SECONDS = 5.0
MAX_STALL_SECONDS = 15.0
FIRST_BYTE_SECONDS = 15.0
MAX_FIRST_BYTE_SECONDS = 60.0
WINDOW_SECONDS = 10.0
MEMORY_SECONDS = 300.0
TRICKLE_FACTOR = 4


class LinkMemory:
    """The best rates that a link has shown in the last five minutes, shared by all its connections."""

    def __init__(self) -> None:
        self._rates: deque[tuple[float, float]] = deque()

    def saw(self, rate: float, *, now: float) -> None:
        """Remember that `rate` bytes per second were reached."""
        while self._rates and self._rates[-1][1] <= rate:
            self._rates.pop()
        self._rates.append((now, rate))

    def best(self, *, now: float) -> float:
        """Return the best rate of the last five minutes in bytes per second, 0 where none was seen."""
        while self._rates and now - self._rates[0][0] > MEMORY_SECONDS:
            self._rates.popleft()
        return self._rates[0][1] if self._rates else 0.0

    def forget(self) -> None:
        """Forget every rate."""
        self._rates.clear()


class FlowWatch:
    """Judges one connection by what arrives on it.

    Args:
        memory: What the link has shown before.
        now: Monotonic time at which the body begins, in seconds.
    """

    def __init__(self, memory: LinkMemory, *, now: float) -> None:
        self._memory = memory
        self._last = now
        self._longest_gap = 0.0
        self._window_start = now
        self._window_bytes = 0

    @property
    def stall_limit_seconds(self) -> float:
        """How long the next read may wait: 5 to 15 seconds, four times the longest gap so far."""
        return min(MAX_STALL_SECONDS, max(MIN_STALL_SECONDS, 4 * self._longest_gap))

    def is_trickle(self, received: int, *, now: float) -> bool:
        """Report `received` bytes; tell whether the connection should be dropped for a faster one."""
        self._longest_gap = max(self._longest_gap, now - self._last)
        self._last = now
        self._window_bytes += received
        seconds = now - self._window_start
        if seconds < WINDOW_SECONDS:
            return False
        rate = self._window_bytes / seconds
        self._window_start, self._window_bytes = now, 0
        if rate * TRICKLE_FACTOR <= self._memory.best(now=now):
            self._memory.forget()
            return True
        self._memory.saw(rate, now=now)
        return False

    def paused(self, *, now: float) -> None:
        """Report that we ourselves did not read for a while: that silence does not count."""
        self._window_start += now - self._last
        self._last = now


def first_byte_limit(timeouts: int) -> float:
    """Return how long to wait for an answer after `timeouts` consecutive ones that did not come, in seconds."""
    return min(MAX_FIRST_BYTE_SECONDS, FIRST_BYTE_SECONDS * (1 + timeouts))
