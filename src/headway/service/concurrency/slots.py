"""Limits how many transfers run at once; the limit can be changed while they do."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Slots:
    """A limit on concurrent work, first come first served (moby-behaviour 2.1, without its defects).

    Raising the limit starts queued work at once; lowering it lets running work finish. Work that waits for its link
    does not count against work on other links, so that one registry that is down does not hold up the others.

    Args:
        limit: How many may run at once.
        fits: Returns how many transfers one link has room for now; `look_again` asks again. It is not known which
            registries share a link, so each counts as a link of its own: a fast one never waits for a slow one.
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
        """Whether at most one runs, and none is queued."""
        return self.running <= 1 and not self._queue

    @property
    def is_full(self) -> bool:
        """Whether a newcomer would have to wait."""
        return self.running >= self._limit

    def set_limit(self, limit: int) -> None:
        """Change the limit."""
        self._limit = limit
        self.look_again()

    def look_again(self) -> None:
        """Start whatever queued work has room now."""
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
        """Wait for a turn, and hold it until the block ends or `Slot.release` is called.

        Args:
            link: Name of the link that the work uses.
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
        """Note that `more` places (fewer, if negative) are held by work that waits for its link; for `Slot.waits`."""
        self._waiting[link] += more
        self._waiting = +self._waiting  # drops links with a count of 0
        self.look_again()

    def give_back(self, link: str) -> None:
        """Free a place for the next one; for `Slot.release`, which calls it once."""
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
        """Say whether the holder waits for its link; does nothing after `release`."""
        if self._slots is not None and is_waiting is not self._is_waiting:
            self._is_waiting = is_waiting
            self._slots.waits(self._link, 1 if is_waiting else -1)

    def release(self) -> None:
        """Give the place back now; a second call does nothing."""
        self.waits(is_waiting=False)
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.give_back(self._link)
