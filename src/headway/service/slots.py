"""How many transfers run at once, changeable while they do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Slots:
    """A limit on concurrent work, first come first served (moby-behaviour 2.1, without its defects).

    Raising the limit starts queued work at once; lowering it lets running work finish.

    Args:
        limit: How many may run at once.
        fits: Returns how many the link has room for now; `look_again` asks it anew.
    """

    def __init__(self, limit: int, fits: Callable[[], int] = lambda: 1 << 30) -> None:
        self._limit = limit
        self._fits = fits
        self._running = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def running(self) -> int:
        """How many run now."""
        return self._running

    @property
    def has_one(self) -> bool:
        """Whether no more than one runs, and nobody waits."""
        return self._running <= 1 and not self._queue

    @property
    def is_full(self) -> bool:
        """Whether whoever comes now has to wait."""
        return self._running >= self._limit

    def set_limit(self, limit: int) -> None:
        """Change the limit."""
        self._limit = limit
        self.look_again()

    def look_again(self) -> None:
        """Let in whoever has room now."""
        while self._queue and self._running < min(self._limit, self._fits()):
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                self._running += 1

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Wait for a turn and hold it until the end, or until `Slot.release`."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        slot = Slot(self)
        self._queue.append(turn)
        self.look_again()
        try:
            await turn
            yield slot
        finally:
            if turn.done() and not turn.cancelled():
                slot.release()

    def give_back(self) -> None:
        """Let the next one have a place; `Slot.release` calls it once."""
        self._running -= 1
        self.look_again()


class Slot:
    """One place among `Slots`."""

    def __init__(self, slots: Slots) -> None:
        self._slots: Slots | None = slots

    def release(self) -> None:
        """Give the place back now; again does nothing."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.give_back()
