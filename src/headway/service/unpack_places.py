"""Which layers unpack now.

Rule 1: as many at once as there are cores; more would only take turns.
Rule 2: the largest first: what is still unpacked when all else is done leaves the other cores idle.
Rule 3: whoever waits for bytes has no place, so that a link that is down holds up nobody else; whoever has them keeps
        it, and wakes nobody.
Rule 4: of large layers half as many, and no other begins while those that have begun are at work: each keeps two cores
        busy, for it is expanded and hashed beside, and holds what its format looks back on, 8 MiB and more. A small one
        begins beside them: whoever pulls a small image waits for no large one.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from operator import itemgetter

from headway.interfaces.content import Follower

LARGE = 8 << 20
"""Bytes of a blob from which on a layer is a large one."""

IDLE_SECONDS = 0.5
"""How long, in all, those that have begun wait for bytes before another large layer begins: on a slow link, soon."""

PATIENCE_SECONDS = 0.2
"""How long who waits for something else than bytes goes without looking whether it was stopped."""


class _Turn:
    """A layer that waits for a place; of two, the larger one comes first, then the one that came first.

    Args:
        size: Of its blob, in bytes.
        number: In the order of arrival.
        idle: How long nobody had had a place when it came, in seconds.
        lock: Held by whoever looks at it.

    Attributes:
        has_place: Whether it waits no longer.
        changed: Notified then, and where it is to look again how long it waits.
    """

    def __init__(self, size: int, number: int, idle: float, lock: threading.Lock) -> None:
        self.size = size
        self.number = number
        self.idle = idle
        self.has_place = False
        self.changed = threading.Condition(lock)

    def __lt__(self, other: _Turn) -> bool:
        return (-self.size, self.number) < (-other.size, other.number)


class UnpackPlaces:
    """A limit on threads that unpack.

    Args:
        places: How many may unpack at once.
        clock: Monotonic time, in seconds.
    """

    def __init__(self, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._large = max(1, places // 2)
        self._clock = clock
        self._busy = 0
        self._begun = 0  # large ones
        self._idle_before = 0.0  # seconds in which nobody had a place, until
        self._idle_since = clock()  # and where nobody has one now, those since
        self._lock = threading.Lock()
        self._again: list[_Turn] = []  # heaps: of those that have begun,
        self._small: list[_Turn] = []  # of small ones that have not,
        self._new: list[_Turn] = []  # and of large ones
        self._arrivals = count()

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._again) + len(self._small) + len(self._new)

    def begin(self, size: int) -> None:
        """Wait for the first place of a layer of `size` bytes; its last one is to be left with `end`."""
        self._take(size, self._new if size >= LARGE else self._small)

    def is_wanted(self, size: int) -> bool:
        """Tell whether a layer waits that is larger than `size`, and could have the place of one that is not."""
        with self._lock:
            waiting = self._next()
            return bool(waiting) and waiting[0].size > size

    def take(self, size: int) -> None:
        """Wait for a place for a layer that has begun."""
        self._take(size, self._again)

    def leave(self) -> None:
        """Give a place back."""
        with self._lock:
            self._leave()

    def end(self, size: int) -> None:
        """Give a place back for good."""
        with self._lock:
            self._begun -= size >= LARGE
            self._leave()

    def _leave(self) -> None:
        self._busy -= 1
        self._idle_since = self._clock()
        self._give()
        if self._new and not self._busy:
            self._new[0].changed.notify()  # from now on time alone may give it a place

    def _take(self, size: int, waiting: list[_Turn]) -> None:
        with self._lock:
            turn = _Turn(size, next(self._arrivals), self._idle(), self._lock)
            heapq.heappush(waiting, turn)
            self._give()
            while not turn.has_place:
                turn.changed.wait(self._patience(turn) if waiting is self._new else None)
                self._give()

    def _give(self) -> None:
        """Give the places that are free to those whose turn it is."""
        while self._busy < self._places and (waiting := self._next()):
            turn = heapq.heappop(waiting)
            self._idle_before = self._idle()
            self._busy += 1
            self._begun += waiting is self._new
            turn.has_place = True
            turn.changed.notify()

    def _next(self) -> list[_Turn]:
        """Return where the first one waits whose turn it is, of those that may have one; an empty list if none may."""
        new = self._new
        if new and self._begun >= self._large and self._idle() - new[0].idle < IDLE_SECONDS:
            new = []
        return min(filter(None, (self._again, self._small, new)), key=itemgetter(0), default=[])

    def _patience(self, turn: _Turn) -> float | None:
        """Return in how many seconds a large layer may begin if all go on waiting; None where it waits for more."""
        if self._busy or self._new[0] is not turn:
            return None
        return max(0.0, IDLE_SECONDS - (self._idle() - turn.idle))  # 0 where that was since `_give` has looked

    def _idle(self) -> float:
        """Return for how many seconds in all nobody has had a place."""
        return self._idle_before + (0.0 if self._busy else self._clock() - self._idle_since)


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
        self._places.begin(self._size)
        return self

    def __exit__(self, *_: object) -> None:
        self._places.end(self._size)

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, nothing at the end.

        Raises:
            InterruptedError: The follower was stopped.
        """
        if self._follower.ready() and not self._places.is_wanted(self._size):
            return self._follower.read(limit)
        with self._away():
            return self._follower.read(limit)

    def outwait(self, is_there: Callable[[float], bool]) -> None:
        """See `interfaces.files.Patient`."""
        with self._away():
            while not is_there(PATIENCE_SECONDS):
                if self._follower.is_stopped:
                    raise InterruptedError("nobody waits for it any more")

    @contextmanager
    def _away(self) -> Iterator[None]:
        """Have no place inside the block."""
        self._places.leave()
        try:
            yield
        finally:
            self._places.take(self._size)
