"""When a registry may be asked again after it said that we ask too much.

Rule 1: what one request is told holds for everything that goes to the same registry.
Rule 2: never earlier than told: a later answer can only move the moment back.
Rule 3: a registry that names no time gets one all the same, longer each time until it answers again.
"""

from __future__ import annotations

UNSTATED_SECONDS = 5.0
MAX_UNSTATED_SECONDS = 60.0


class Throttle:
    """The gates of all registries in one process. Calls must not overlap: the caller has the lock."""

    def __init__(self) -> None:
        self._opens: dict[str, float] = {}
        self._unstated: dict[str, float] = {}  # how long the last one was

    def refused(self, host: str, asked_seconds: float | None, *, now: float) -> float:
        """Report that a registry asked us to wait; return how long nobody may ask it, in seconds.

        Args:
            host: ``host[:port]`` of the registry.
            asked_seconds: What it named; None or 0 where it named nothing.
            now: Monotonic time, in seconds.
        """
        seconds = asked_seconds or self._next_unstated(host, now=now)
        self._opens[host] = max(self._opens.get(host, now), now + seconds)
        return self._opens[host] - now

    def _next_unstated(self, host: str, *, now: float) -> float:
        if self.seconds_left(host, now=now) > 0:
            return 0.0  # requests that were under way together are refused together, and count once
        before = self._unstated.get(host)
        seconds = UNSTATED_SECONDS if before is None else min(MAX_UNSTATED_SECONDS, 2 * before)
        self._unstated[host] = seconds
        return seconds

    def answered(self, host: str) -> None:
        """Report that a registry answered; a moment that it named before still holds."""
        self._unstated.pop(host, None)

    def seconds_left(self, host: str, *, now: float) -> float:
        """Return how long a registry must not be asked yet; 0 where it may be."""
        return max(0.0, self._opens.get(host, now) - now)
