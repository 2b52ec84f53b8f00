"""Decides when a registry may be asked again after it has answered that there are too many requests.

Rule 1: a wait that one request is told holds for every request to the same registry.
Rule 2: a later answer can only extend the wait.
Rule 3: a registry that names no time is left alone as well, longer each time until it answers again.
"""

from __future__ import annotations

UNSTATED_SECONDS = 5.0
MAX_UNSTATED_SECONDS = 60.0


class Throttle:
    """The waits of all registries in one process. Calls must not overlap: the caller holds a lock."""

    def __init__(self) -> None:
        self._opens: dict[str, float] = {}
        self._unstated: dict[str, float] = {}  # the last wait that a registry did not name itself, in seconds

    def refused(self, host: str, asked_seconds: float | None, *, now: float) -> float:
        """Report that a registry asked us to wait; return how many seconds it must not be asked.

        Args:
            host: ``host[:port]`` of the registry.
            asked_seconds: The time that it named; None or 0 if it named none.
            now: Monotonic time, in seconds.
        """
        seconds = asked_seconds or self._next_unstated(host, now=now)
        self._opens[host] = max(self._opens.get(host, now), now + seconds)
        return self._opens[host] - now

    def _next_unstated(self, host: str, *, now: float) -> float:
        if self.seconds_left(host, now=now) > 0:
            return 0.0  # requests that run at the same time are refused together, and count once
        before = self._unstated.get(host)
        seconds = UNSTATED_SECONDS if before is None else min(MAX_UNSTATED_SECONDS, 2 * before)
        self._unstated[host] = seconds
        return seconds

    def answered(self, host: str) -> None:
        """Report that a registry answered normally; a time that it named before still holds."""
        self._unstated.pop(host, None)

    def seconds_left(self, host: str, *, now: float) -> float:
        """Return how many seconds a registry must still not be asked; 0 if it may be asked."""
        return max(0.0, self._opens.get(host, now) - now)
