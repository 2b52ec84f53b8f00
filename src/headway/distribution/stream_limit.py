"""How many requests for one blob its server serves at once, as far as it has refused some.

Rule: a link that breaks and one bad server of several look the same at first; so what was refused is asked for again
      soon, and for a minute not only where the registry says that it is asked too much (429).
"""

from __future__ import annotations

import math

from headway.errors import HeadwayError, ThrottledError

PAUSE_SECONDS = 5.0
THROTTLED_PAUSE_SECONDS = 60.0
AGAIN_SECONDS = 1.0  # a server may not have noticed yet that a connection before has ended


class StreamLimit:
    """Knows when there may be one more."""

    def __init__(self) -> None:
        self._most, self._until = 1, -math.inf  # how many requests were served, and until when that counts
        self._together = 0  # how many have flowed at once since one was refused
        self._again_at = -math.inf  # when there may be as many once more

    def flow(self, count: int) -> None:
        """Take note that so many flow at once."""
        self._together = max(self._together, count)

    def most(self, streams: int, *, now: float) -> int:
        """Return how many of `streams` there may be."""
        return min(streams, self._most) if now < self._until else streams

    def may_add(self, *, now: float) -> bool:
        """Tell whether one more may be begun beside those that run."""
        return now >= self._again_at

    def refused(self, error: HeadwayError, *, running: int, now: float) -> None:
        """Ask no more at once for a while than were served: those that go on, or as many as have flowed before."""
        seconds = THROTTLED_PAUSE_SECONDS if isinstance(error, ThrottledError) else PAUSE_SECONDS
        self._most, self._until = max(running, self._together), now + seconds
        if running < self._together:
            self._again_at = now + AGAIN_SECONDS
        self._together = running
