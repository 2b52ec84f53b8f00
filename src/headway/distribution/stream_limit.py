"""Limits how many requests for one blob run at once, after its server has refused one.

Rule: at first a link that breaks and one bad server among several look the same, so a refused request is soon tried
      again; only after a 429 does it take a minute.
"""

from __future__ import annotations

import math

from headway.errors import HeadwayError, ThrottledError

PAUSE_SECONDS = 5.0
THROTTLED_PAUSE_SECONDS = 60.0
AGAIN_SECONDS = 1.0  # a server may not have noticed yet that a connection before has ended


class StreamLimit:
    """The limit for one blob."""

    def __init__(self) -> None:
        self._most, self._until = 1, -math.inf  # how many requests may run, and until when this limit holds
        self._together = 0  # how many have flowed at once since one was refused
        self._again_at = -math.inf  # when a request may be added again

    def flow(self, count: int) -> None:
        """Note how many requests bring bytes now."""
        self._together = max(self._together, count)

    def most(self, streams: int, *, now: float) -> int:
        """Return how many requests may run, at most `streams`."""
        return min(streams, self._most) if now < self._until else streams

    def may_add(self, *, now: float) -> bool:
        """Tell whether another request may be added to running ones."""
        return now >= self._again_at

    def refused(self, error: HeadwayError, *, running: int, now: float) -> None:
        """Note a refusal: for a while, only as many requests may run as go on now, or have flowed at once before."""
        seconds = THROTTLED_PAUSE_SECONDS if isinstance(error, ThrottledError) else PAUSE_SECONDS
        self._most, self._until = max(running, self._together), now + seconds
        if running < self._together:
            self._again_at = now + AGAIN_SECONDS
        self._together = running
