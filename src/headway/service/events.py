"""Telling what happened, and listening to it.

Rule 1: nobody who listens can hold up who tells: a listener has a place in the log and no queue, and what it has
        not read when the log lets it go is counted as missed.
Rule 2: nobody polls inside a process: telling wakes the listeners. Their reading waits for the end of the
        transaction that the event belongs to, so that they see what is committed and nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Lock

import msgspec

from headway.interfaces.events import EventLog
from headway.oci.digest import ImageID
from headway.oci.reference import Reference
from headway.records import Event, ImageRecord
from headway.service.event_query import EventQuery
from headway.service.moments import SECOND


class Heard(msgspec.Struct, frozen=True):
    """What a listener gets at once.

    Attributes:
        events: Oldest first.
        missed: How many events before them the log let go before the listener came to read them.
    """

    events: tuple[Event, ...]
    missed: int = 0


class Events:
    """What happens in one store; any thread tells, any event loop listens.

    Args:
        log: Where it is written down.
        clock: Nanoseconds since the epoch.
    """

    def __init__(self, log: EventLog, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._log = log
        self._clock = clock
        self._listeners: set[Listener] = set()
        self._lock = Lock()

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    def tell(self, kind: str, action: str, actor: str, attributes: Mapping[str, str]) -> Event:
        """Write an event down and wake who listens; inside a transaction it is seen when that has ended.

        Raises:
            StoreError: The disk failed.
        """
        event = self._log.append(self._clock(), kind, action, actor, attributes)
        with self._lock:
            for listener in self._listeners:
                listener.wake()
        return event

    def tell_of_image(self, action: str, actor: str, name: str, image: ImageRecord | None) -> Event:
        """Tell what happened to an image; its labels go along, and `name` wins over a label of that name."""
        labels = image.labels if image is not None and image.labels is not None else {}
        return self.tell("image", action, str(actor), {**labels, "name": str(name)})

    def tell_of_pull(self, reference: Reference, image: ImageRecord) -> Event:
        """Tell of a pull that has ended well; the actor is what was asked for."""
        return self.tell_of_image("pull", reference.familiar, reference.familiar_name, image)

    def tell_of_untag(self, image_id: ImageID, image: ImageRecord | None) -> Event:
        """Tell that a name does not stand for an image any more."""
        return self.tell_of_image("untag", image_id, image_id, image)

    def history(self, query: EventQuery) -> list[Event]:
        """Return what is wanted of what the log still has, oldest first."""
        return [event for event in self._log.behind(0) if query.wants(event)]

    @contextmanager
    def listen(self, query: EventQuery) -> Iterator[Listener]:
        """Give a listener, which hears everything from now on; at the end of the block it is forgotten at once."""
        listener = Listener(self._log, query, self._clock)
        with self._lock:
            self._listeners.add(listener)
        try:
            yield listener
        finally:
            with self._lock:
                self._listeners.discard(listener)


class Listener:
    """Hears what is wanted; made by `Events.listen` inside an event loop.

    Args:
        log: Where events are read.
        query: Which are wanted; it may ask for older ones, and for an end.
        clock: Nanoseconds since the epoch.
    """

    def __init__(self, log: EventLog, query: EventQuery, clock: Callable[[], int]) -> None:
        self._log = log
        self._query = query
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._told = asyncio.Event()
        self._seen = 0 if query.looks_back else log.last()
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
