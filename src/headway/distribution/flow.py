"""Decides when a connection is silent or slow enough to be dropped (docs/architecture.md, "When a pull gives up").

Rule 1: silence is judged by how this connection behaved before: a link may well send something every 4 seconds only.
Rule 2: slow is not broken. A trickle is dropped only if at least four times its rate was seen in the last 5 minutes,
        and if our own other connections do not explain it.
Rule 3: after such a drop the old rate is forgotten: if the next connection is no faster, the link has become slow.
"""

from __future__ import annotations

MIN_STALL_SECONDS = 5.0
MAX_STALL_SECONDS = 14.0  # so that, with the new request, a silence ends within 15 seconds
FIRST_BYTE_SECONDS = 14.0
MAX_FIRST_BYTE_SECONDS = 60.0
WINDOW_SECONDS = 10.0
MEMORY_SECONDS = 300.0
TRICKLE_FACTOR = 4
FIRST_BYTE_FACTOR = 8
PACE_SECONDS = 1.0


class LinkMemory:
    """The best rates that a link has shown in the last five minutes, shared by all its connections.

    Connections report rates from threads of their own: replacing a tuple may lose one of two reports that come at the
    same moment, but is never inconsistent. How many requests there are is reported by one thread alone.
    """

    def __init__(self) -> None:
        self._rates: tuple[tuple[float, float], ...] = ()
        self._requests = 0

    @property
    def sharing(self) -> int:
        """How many requests share the link now; at least 1."""
        return max(1, self._requests)

    def began(self) -> None:
        """Report that a request begins."""
        self._requests += 1

    def ended(self) -> None:
        """Report that a request has ended."""
        self._requests -= 1

    def saw(self, rate: float, *, now: float) -> None:
        """Remember that `rate` bytes per second were reached."""
        # An older rate that is not higher can never be the best again.
        better = ((when, known) for when, known in self._rates if known > rate and now - when <= MEMORY_SECONDS)
        self._rates = (*better, (now, rate))

    def best(self, *, now: float) -> float:
        """Return the best rate of the last five minutes, in bytes per second; 0 where none was seen."""
        return max((rate for when, rate in self._rates if now - when <= MEMORY_SECONDS), default=0.0)

    def forget(self) -> None:
        """Forget every rate."""
        self._rates = ()


class FlowWatch:
    """Judges one connection by the bytes that arrive on it.

    Args:
        memory: The best rates of the link.
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
        """How long the next read may wait: 5 to 14 seconds, four times the longest gap so far."""
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
        # Each of four connections gets a quarter of the rate that one alone had: that is not a trickle.
        if 0 < rate * self._memory.sharing * TRICKLE_FACTOR <= self._memory.best(now=now):
            self._memory.forget()
            return True
        self._memory.saw(rate, now=now)
        return False

    def paused(self, *, now: float) -> None:
        """Report that we ourselves have not read for a while, which is not silence of the link."""
        self._window_start += now - self._last
        self._last = now


class Pace:
    """How fast a count grows, over the last one or two seconds.

    Args:
        count: The count at the start.
        now: Monotonic time, in seconds.
    """

    def __init__(self, count: int, *, now: float) -> None:
        self._older = self._newer = self._latest = (now, count)

    def saw(self, count: int, *, now: float) -> None:
        """Report the current count."""
        self._latest = (now, count)
        if now - self._newer[0] >= PACE_SECONDS:
            self._older, self._newer = self._newer, self._latest

    @property
    def seconds(self) -> float:
        """Length of the interval over which `rate` is measured."""
        return self._latest[0] - self._older[0]

    @property
    def rate(self) -> float:
        """Growth per second; 0 where no time has passed."""
        return (self._latest[1] - self._older[1]) / self.seconds if self.seconds > 0 else 0.0


def first_byte_limit(timeouts: int, slowest_seconds: float = 0.0) -> float:
    """Return how long to wait for the first byte of an answer, in seconds.

    Args:
        timeouts: How many answers in a row did not come in time.
        slowest_seconds: The longest that an answer has taken so far. Our own streams queue on the same link, so that
            answers may take longer than the link needs.
    """
    patient = max(FIRST_BYTE_SECONDS, FIRST_BYTE_FACTOR * slowest_seconds)
    return min(MAX_FIRST_BYTE_SECONDS, patient * (1 + timeouts))
