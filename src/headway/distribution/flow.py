"""When a connection is silent or slow enough to be dropped (docs/architecture.md, "When a pull gives up").

Rule 1: silence is judged against how this connection behaved before; a link that breathes every 4 seconds may.
Rule 2: slow is not broken. A trickle is dropped only where at least four times its rate was seen in the last 5 minutes,
        and where our own other connections do not explain it.
Rule 3: after such a drop the old rate is forgotten: if the next connection is no faster, the link is slow now.
"""

from __future__ import annotations

MIN_STALL_SECONDS = 5.0
MAX_STALL_SECONDS = 14.0  # with the new request, a silence is over within 15 seconds
FIRST_BYTE_SECONDS = 14.0
MAX_FIRST_BYTE_SECONDS = 60.0
WINDOW_SECONDS = 10.0
MEMORY_SECONDS = 300.0
TRICKLE_FACTOR = 4
FIRST_BYTE_FACTOR = 8
PACE_SECONDS = 1.0


class LinkMemory:
    """The best rates that a link has shown in the last five minutes, shared by all its connections.

    Connections report rates from threads of their own: a tuple that is replaced may lose one of two that come at the
    same moment, and never breaks. One thread alone reports how many there are.
    """

    def __init__(self) -> None:
        self._rates: tuple[tuple[float, float], ...] = ()
        self._requests = 0

    @property
    def sharing(self) -> int:
        """How many requests share the link now, at least one."""
        return max(1, self._requests)

    def began(self) -> None:
        """Report a request."""
        self._requests += 1

    def ended(self) -> None:
        """Report the end of one that was reported to `began`."""
        self._requests -= 1

    def saw(self, rate: float, *, now: float) -> None:
        """Remember that `rate` bytes per second were reached."""
        # An older rate that was not higher will never be the best again.
        better = ((when, known) for when, known in self._rates if known > rate and now - when <= MEMORY_SECONDS)
        self._rates = (*better, (now, rate))

    def best(self, *, now: float) -> float:
        """Return the best rate of the last five minutes in bytes per second, 0 where none was seen."""
        return max((rate for when, rate in self._rates if now - when <= MEMORY_SECONDS), default=0.0)

    def forget(self) -> None:
        """Forget every rate."""
        self._rates = ()


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
        # A link that one connection filled gives each of four a quarter: that is no trickle.
        if 0 < rate * self._memory.sharing * TRICKLE_FACTOR <= self._memory.best(now=now):
            self._memory.forget()
            return True
        self._memory.saw(rate, now=now)
        return False

    def paused(self, *, now: float) -> None:
        """Report that we ourselves did not read for a while: that silence does not count."""
        self._window_start += now - self._last
        self._last = now


class Pace:
    """How fast a count grows, over the last one or two seconds.

    Args:
        count: What it is at the start.
        now: Monotonic time, in seconds.
    """

    def __init__(self, count: int, *, now: float) -> None:
        self._older = self._newer = self._latest = (now, count)

    def saw(self, count: int, *, now: float) -> None:
        """Report what the count is now."""
        self._latest = (now, count)
        if now - self._newer[0] >= PACE_SECONDS:
            self._older, self._newer = self._newer, self._latest

    @property
    def seconds(self) -> float:
        """How long it has been watched, as far as that counts."""
        return self._latest[0] - self._older[0]

    @property
    def rate(self) -> float:
        """Growth per second; 0 where no time has passed."""
        return (self._latest[1] - self._older[1]) / self.seconds if self.seconds > 0 else 0.0


def first_byte_limit(timeouts: int, slowest_seconds: float = 0.0) -> float:
    """Return how long to wait for an answer, in seconds.

    Args:
        timeouts: Consecutive ones that did not come.
        slowest_seconds: The longest that one has taken here so far: our own other streams stand in the same queue.
    """
    patient = max(FIRST_BYTE_SECONDS, FIRST_BYTE_FACTOR * slowest_seconds)
    return min(MAX_FIRST_BYTE_SECONDS, patient * (1 + timeouts))
