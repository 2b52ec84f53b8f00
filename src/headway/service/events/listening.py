"""Follows the events of a store, past and to come.

Rule 1: nobody who listens can hold up who tells: a listener has a place in the log and no queue, and what it has
        not read when the log lets it go is counted as missed.
Rule 2: nobody polls inside a process: telling wakes the listeners. Their reading waits for the end of the
        transaction that the event belongs to, so that they see what is committed and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import msgspec

from headway.records import Event
from headway.service.events.event_query import EventQuery
from headway.service.events.events import Events
from headway.service.queries.moments import SECOND


class Heard(msgspec.Struct, frozen=True):
    """What a listener gets at once.

    Attributes:
        events: Oldest first.
        missed: How many events before them the log let go before the listener came to read them.
    """

    events: tuple[Event, ...]
    missed: int = 0


@contextmanager
def listen(events: Events, query: EventQuery) -> Iterator[Listener]:
    """Give a listener, inside an event loop, that hears everything from now on; at the block's end it is forgotten."""
    listener = Listener(events, query)
    events.attach(listener.wake)
    try:
        yield listener
    finally:
        events.detach(listener.wake)


class Listener:
    """Hears what is wanted; made by `listen`.

    Args:
        events: What there is to hear.
        query: Which are wanted; it may ask for older ones, and for an end.
    """

    def __init__(self, events: Events, query: EventQuery) -> None:
        self._log = events.log
        self._query = query
        self._clock = events.clock
        self._loop = asyncio.get_running_loop()
        self._told = asyncio.Event()
        self._seen = 0 if query.looks_back else events.log.last()
        self._has_begun = not query.looks_back

    def wake(self) -> None:
        """Let the listener look again; from any thread."""
        with suppress(RuntimeError):  # its loop has ended: nobody is left to hear
            self._loop.call_soon_threadsafe(self._told.set)

    async def heard(self) -> AsyncIterator[Heard]:
        """Yield what is wanted as it happens, until the query's end has come; for ever where it has none."""
        while True:
            is_over = self._seconds_left() == 0
            self._told.clear()
            heard = await asyncio.to_thread(self._read)
            if heard.events or heard.missed:
                yield heard
            if is_over:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds_left()):
                    await self._told.wait()

    def _seconds_left(self) -> float | None:
        if self._query.until is None:
            return None
        return max(0.0, (self._query.until - self._clock()) / SECOND)

    def _read(self) -> Heard:
        events = self._log.behind(self._seen)
        if not events:
            return Heard(())
        # Who looks back asks for what there is; only what went while one listened is missed.
        missed = events[0].sequence - self._seen - 1 if self._has_begun else 0
        self._seen, self._has_begun = events[-1].sequence, True
        return Heard(tuple(filter(self._query.wants, events)), missed)
