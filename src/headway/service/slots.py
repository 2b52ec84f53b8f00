"""How many transfers run at once, changeable while they do."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Slots:
    """A limit on concurrent work, first come first served (moby-behaviour 2.1, without its defects).

    Raising the limit starts queued work at once; lowering it lets running work finish. Work that waits for its link
    takes no place from work on another one: as much more may run as waits, so that one registry that is gone holds up
    none that is there.

    Args:
        limit: How many may run at once.
        fits: Returns how many one link has room for now; `look_again` asks it anew. Nobody knows which registries
            share a link, so that each counts as one: a registry next door waits for no satellite.
    """

    def __init__(self, limit: int, fits: Callable[[], int] = lambda: 1 << 30) -> None:
        self._limit = limit
        self._fits = fits
        self._running: Counter[str] = Counter()  # by link
        self._waiting: Counter[str] = Counter()
        self._queue: deque[tuple[asyncio.Future[None], str]] = deque()

    @property
    def running(self) -> int:
        """How many run now."""
        return self._running.total()

    @property
    def has_one(self) -> bool:
        """Whether no more than one runs, and nobody waits."""
        return self.running <= 1 and not self._queue

    @property
    def is_full(self) -> bool:
        """Whether whoever comes now has to wait."""
        return self.running >= self._limit

    def set_limit(self, limit: int) -> None:
        """Change the limit."""
        self._limit = limit
        self.look_again()

    def look_again(self) -> None:
        """Let in whoever has room now."""
        if not self._queue:
            return
        queue, self._queue = self._queue, deque()
        room = self._fits()
        for turn, link in queue:
            if turn.done():
                continue
            elsewhere = self._waiting.total() - self._waiting[link]
            if self.running - elsewhere < self._limit and self._running[link] < room:
                turn.set_result(None)
                self._running[link] += 1
            else:
                self._queue.append((turn, link))

    @asynccontextmanager
    async def slot(self, link: str = "") -> AsyncIterator[Slot]:
        """Wait for a turn and hold it until the end, or until `Slot.release`.

        Args:
            link: What it is for, which `Slot.waits` tells of.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        slot = Slot(self, link)
        self._queue.append((turn, link))
        self.look_again()
        try:
            await turn
            yield slot
        finally:
            if turn.done() and not turn.cancelled():
                slot.release()

    def waits(self, link: str, more: int) -> None:
        """Take note that more places, or less, are held by what waits for a link; `Slot.waits` tells of one."""
        self._waiting[link] += more
        self._waiting = +self._waiting  # links that nobody waits for are forgotten
        self.look_again()

    def give_back(self, link: str) -> None:
        """Let the next one have a place; `Slot.release` calls it once."""
        self._running[link] -= 1
        self._running = +self._running
        self.look_again()


class Slot:
    """One place among `Slots`."""

    def __init__(self, slots: Slots, link: str) -> None:
        self._slots: Slots | None = slots
        self._link = link
        self._is_waiting = False

    def waits(self, *, is_waiting: bool) -> None:
        """Say whether what holds it waits for its link; nothing where it was given back."""
        if self._slots is not None and is_waiting is not self._is_waiting:
            self._is_waiting = is_waiting
            self._slots.waits(self._link, 1 if is_waiting else -1)

    def release(self) -> None:
        """Give the place back now; again does nothing."""
        self.waits(is_waiting=False)
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.give_back(self._link)
