"""Decides which layers may unpack now.

Rule 1: as many at once as there are cores, and no more than four: Python runs one thread at a time, and more would only
        take turns.
Rule 2: the largest first: what is still unpacked when all else is done leaves the other cores idle.
Rule 3: whoever waits for bytes has no place, so that a link that is down holds up nobody else; whoever has them keeps
        it, and wakes nobody.
Rule 4: of large layers half as many, and no other begins while those that have begun are at work: each keeps two cores
        busy, for it is expanded and hashed beside, and holds memory until it ends. A small one begins beside them:
        whoever pulls a small image waits for no large one.
Rule 5: a large layer with a wide window, which looks back on 8 MiB and not on 32 KiB, is the only large one on any
        machine while it has work: a pull takes 64 MB, whatever the image is compressed with. So the next one of its
        pull is fetched behind it, and not beside it, where it would only take a share of the link from it.
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

MOST = 4
"""Most that unpack at once, on however many cores."""

LARGE = 8 << 20
"""Bytes of a blob from which on a layer is a large one."""

LARGE_AND_WIDE = 2 << 20
"""The same where the window is wide: so much expands to all that it can look back on."""

FETCHED_ALONE = 16 << 20
"""Bytes of one with a wide window from which on the next one is fetched behind it; below, asking costs more."""

IDLE_SECONDS = 0.5
"""How long, in all, those that have begun wait for bytes before another large layer begins: on a slow link, soon."""

IDLE_SECONDS_WIDE = 2.0
"""The same before one with a wide window begins, or another beside one: it is another pull's, whose link is quicker."""

PATIENCE_SECONDS = 0.2
"""How long who waits for something else than bytes goes without looking whether it was stopped."""


class _Turn:
    """A layer that waits for a place; of two, the larger one comes first, then the one that came first.

    Args:
        size: Of its blob, in bytes.
        is_wide: Whether its window is wide.
        number: In the order of arrival.
        idle: How long nobody had had a place when it came, in seconds.
        lock: Held by whoever looks at it.

    Attributes:
        has_place: Whether it waits no longer.
        changed: Notified then, and where it is to look again how long it waits.
    """

    def __init__(self, size: int, number: int, idle: float, lock: threading.Lock, *, is_wide: bool) -> None:
        self.size = size
        self.is_wide = is_wide
        self.number = number
        self.idle = idle
        self.has_place = False
        self.changed = threading.Condition(lock)

    def __lt__(self, other: _Turn) -> bool:
        return (-self.size, self.number) < (-other.size, other.number)


class UnpackPlaces:
    """A limit on threads that unpack.

    Args:
        cores: How many there are.
        clock: Monotonic time, in seconds.
    """

    def __init__(self, cores: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = min(cores, MOST)
        self._large = max(1, self._places // 2)
        self._clock = clock
        self._busy = 0
        self._begun = 0  # large ones,
        self._wide = 0  # and of these, those with wide windows
        self._idle_at_begin = 0.0  # how long nobody had had a place when the last large one began
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

    def begin(self, size: int, *, is_wide: bool = False) -> None:
        """Wait for the first place of a layer of `size` bytes; its last one is to be left with `end`."""
        self._take(size, self._new if _is_large(size, is_wide=is_wide) else self._small, is_wide=is_wide)

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

    def end(self, size: int, *, is_wide: bool = False) -> None:
        """Give a place back for good."""
        with self._lock:
            if _is_large(size, is_wide=is_wide):
                self._begun -= 1
                self._wide -= is_wide
            self._leave()

    def _leave(self) -> None:
        self._busy -= 1
        self._idle_since = self._clock()
        self._give()
        if self._new and not self._busy:
            self._new[0].changed.notify()  # from now on time alone may give it a place

    def _take(self, size: int, waiting: list[_Turn], *, is_wide: bool = False) -> None:
        with self._lock:
            turn = _Turn(size, next(self._arrivals), self._idle(), self._lock, is_wide=is_wide)
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
            if waiting is self._new:
                self._begun += 1
                self._wide += turn.is_wide
                self._idle_at_begin = self._idle_before
            turn.has_place = True
            turn.changed.notify()

    def _next(self) -> list[_Turn]:
        """Return where the first one waits whose turn it is, of those that may have one; an empty list if none may."""
        new = self._new if self._new and self._wait(self._new[0]) <= 0 else []
        return min(filter(None, (self._again, self._small, new)), key=itemgetter(0), default=[])

    def _wait(self, turn: _Turn) -> float:
        """Return how many seconds more nobody is to have a place before a large layer may begin."""
        is_wide = turn.is_wide or self._wide > 0
        if self._begun < (1 if is_wide else self._large):
            return 0.0
        if is_wide:  # one at a time, however long several have waited
            return IDLE_SECONDS_WIDE - (self._idle() - max(turn.idle, self._idle_at_begin))
        return IDLE_SECONDS - (self._idle() - turn.idle)

    def _patience(self, turn: _Turn) -> float | None:
        """Return in how many seconds a large layer may begin if all go on waiting; None where it waits for more."""
        if self._busy or self._new[0] is not turn:
            return None
        return max(0.0, self._wait(turn))  # 0 where that was since `_give` has looked

    def _idle(self) -> float:
        """Return for how many seconds in all nobody has had a place."""
        return self._idle_before + (0.0 if self._busy else self._clock() - self._idle_since)


def _is_large(size: int, *, is_wide: bool) -> bool:
    return size >= (LARGE_AND_WIDE if is_wide else LARGE)


def is_fetched_alone(size: int, *, is_wide: bool) -> bool:
    """Tell whether the next such layer of a pull is fetched behind one of `size` bytes (rule 5)."""
    return is_wide and size >= FETCHED_ALONE


class PoliteSource:
    """The bytes of a layer for whoever unpacks it: between two reads a larger layer may take its place.

    Use as a context manager around the unpacking.

    Args:
        follower: Gives the bytes.
        places: Those of the process.
        size: Size of the blob, in bytes.
        is_wide: Whether its format looks back on 8 MiB, as zstd does.
    """

    def __init__(self, follower: Follower, places: UnpackPlaces, size: int, *, is_wide: bool = False) -> None:
        self._follower = follower
        self._places = places
        self._size = size
        self._is_wide = is_wide

    def __enter__(self) -> PoliteSource:
        self._places.begin(self._size, is_wide=self._is_wide)
        return self

    def __exit__(self, *_: object) -> None:
        self._places.end(self._size, is_wide=self._is_wide)

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, ``b""`` at the end.

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
