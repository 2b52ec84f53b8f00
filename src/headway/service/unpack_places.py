"""Which layers unpack now.

Rule 1: as many at once as there are cores; more would only take turns.
Rule 2: the largest first: what is still unpacked when all else is done has one core and leaves the others idle.
Rule 3: whoever waits for bytes has no place, so that a link that is down holds up nobody else.
"""

from __future__ import annotations

import heapq
import threading
from itertools import count

from headway.interfaces.content import Follower


class UnpackPlaces:
    """A limit on threads that unpack; of those who wait, the one with the largest layer comes first.

    Args:
        places: How many may unpack at once.

    Attributes:
        waiting: Those who wait, as a heap of (minus their size, order of arrival).
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._changed = threading.Condition()
        self.waiting: list[tuple[int, int]] = []
        self._arrivals = count()

    def take(self, size: int) -> None:
        """Wait for a place for a layer of `size` bytes."""
        turn = (-size, next(self._arrivals))
        with self._changed:
            heapq.heappush(self.waiting, turn)
            while not self._free or self.waiting[0] != turn:
                self._changed.wait()
            heapq.heappop(self.waiting)
            self._free -= 1
            self._changed.notify_all()

    def leave(self) -> None:
        """Give a place back."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()


class PoliteSource:
    """The bytes of a layer for whoever unpacks it: between two reads a larger layer may take its place.

    Use as a context manager around the unpacking.

    Args:
        follower: Gives the bytes.
        places: Those of the process.
        size: Size of the blob, in bytes.
    """

    def __init__(self, follower: Follower, places: UnpackPlaces, size: int) -> None:
        self._follower = follower
        self._places = places
        self._size = size

    def __enter__(self) -> PoliteSource:
        self._places.take(self._size)
        return self

    def __exit__(self, *_: object) -> None:
        self._places.leave()

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, nothing at the end.

        Raises:
            InterruptedError: The follower was stopped.
        """
        self._places.leave()
        try:
            return self._follower.read(limit)
        finally:
            self._places.take(self._size)
