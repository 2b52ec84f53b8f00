"""One transfer per key, shared by all who wait for it (moby-behaviour 2.1).

Rule 1: the work belongs to the process's task group, not to the caller who began it.
Rule 2: it is cancelled when its last listener leaves, who still gets its progress until it has ended. A caller that
        joins meanwhile waits for the end, and starts it afresh.
Rule 3: an error is delivered to the listeners, even if it is a bug here; it never brings down the group, in which
        all other work and the daemon itself run.
Rule 4: if work that another caller began in another way fails, a listener tries it in its own way: the other's
        registry, login or manifest may have been the cause.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

R = TypeVar("R")
E = TypeVar("E")
Listener = Callable[[E], None]

END_SECONDS = 1.0
"""How long the last listener waits for the end: connections end at once, but a disk may take long to write."""


class _Flight(Generic[R, E]):
    def __init__(self, way: object) -> None:
        self.way = way
        self.listeners: list[Listener[E]] = []
        self.last: E | None = None
        self.task: asyncio.Task[R | BaseException] | None = None
        self.leaving = False

    def report(self, event: E) -> None:
        self.last = event
        for listener in tuple(self.listeners):
            listener(event)


class SingleFlight(Generic[R, E]):
    """Runs at most one piece of work per key.

    Args:
        group: Owns the work.
    """

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._flights: dict[Hashable, _Flight[R, E]] = {}

    async def join(
        self, key: Hashable, start: Callable[[Listener[E]], Awaitable[R]], listener: Listener[E], *, way: object = None
    ) -> tuple[R, bool]:
        """Return the result of the work for `key`, and whether this call started it because it was not under way.

        Args:
            key: What the work is for.
            start: Called with a function that tells all listeners of progress.
            listener: Called with the latest progress at once, and then with all that follows.
            way: How the work is done; equal for two callers if the failure of one would be that of the other, too.

        Raises:
            Exception: The work failed; every listener with the same `way` gets the same error.
        """
        while True:
            while (flight := self._flights.get(key)) is not None and flight.leaving and flight.task is not None:
                await asyncio.wait({flight.task})
            begins = flight is None
            if flight is None:
                flight = self._begin(key, start, way)
            flight.listeners.append(listener)
            if flight.last is not None:
                listener(flight.last)
            try:
                return await self._wait(flight, listener), begins
            except Exception:
                if flight.way == way:
                    raise

    def _begin(self, key: Hashable, start: Callable[[Listener[E]], Awaitable[R]], way: object) -> _Flight[R, E]:
        flight: _Flight[R, E] = _Flight(way)

        async def run() -> R | BaseException:
            try:
                return await start(flight.report)
            except Exception as error:
                return error
            finally:
                del self._flights[key]

        flight.task = self._group.create_task(run())
        self._flights[key] = flight
        return flight

    async def _wait(self, flight: _Flight[R, E], listener: Listener[E]) -> R:
        task = flight.task
        assert task is not None  # noqa: S101  # set by _begin before anybody can wait
        try:
            result = await asyncio.shield(task)
        finally:
            await _leave(flight, task, listener)
        if isinstance(result, BaseException):
            raise result
        return result


async def _leave(flight: _Flight[R, E], task: asyncio.Task[R | BaseException], listener: Listener[E]) -> None:
    try:
        if flight.listeners == [listener] and not task.done():
            flight.leaving = True
            task.cancel()
            await asyncio.wait({task}, timeout=END_SECONDS)
    finally:
        flight.listeners.remove(listener)
