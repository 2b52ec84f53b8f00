"""Records how many bytes cross the network, while they do.

Rule: what a kill can take is what was counted in the last second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from threading import Lock

from headway.errors import HeadwayError
from headway.interfaces.traffic import Errand, Traffic, TrafficCounter, TrafficStore
from headway.service.concurrency.executors import Executors
from headway.service.concurrency.together import raise_one

log = logging.getLogger(__name__)
WRITE_SECONDS = 1.0


def day_of(seconds: float) -> str:
    """Return the day of a moment, in UTC, as sums are kept by."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


class TrafficLedger:
    """Moves what was counted into the store.

    Args:
        counter: Counts.
        store: Keeps.
        executors: Where it is written.
        wall: Seconds since the epoch, as this machine has them.
    """

    def __init__(
        self, counter: TrafficCounter, store: TrafficStore, executors: Executors, wall: Callable[[], float]
    ) -> None:
        self._counter = counter
        self._store = store
        self._executors = executors
        self._wall = wall
        self._unwritten: dict[Errand, Traffic] = {}
        self._writing = Lock()
        self._is_told = False  # that the disk fails

    @asynccontextmanager
    async def group(self) -> AsyncIterator[asyncio.TaskGroup]:
        """Give a group for transfers; what crosses the network is written down meanwhile, and once more behind them.

        An error of the block comes out as it is: asyncio's group would wrap it, and nobody outside takes it for what it
        is.
        """
        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(self._keep())
                try:
                    yield group
                finally:
                    keeping.cancel()
        except BaseExceptionGroup as errors:
            raise_one(errors)
        finally:
            self.write()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            if self._unwritten or self._counter.has_counted:  # an idle daemon wakes no other thread each second
                await self._executors.database(self.write)

    def write(self) -> None:
        """Write down what was counted since the last time; a disk that fails keeps nothing from going on.

        Any thread may: whoever stopped `keep` may have left a write behind that is still under way.
        """
        with self._writing:
            self._note(self._counter.take())
            if not self._unwritten:
                return
            try:
                self._store.add(day_of(self._wall()), self._unwritten)
            except HeadwayError as error:
                if not self._is_told:  # it is tried once a second, and a disk may be full for days
                    log.warning("what crossed the network cannot be recorded: %s", error)
                self._is_told = True
            else:
                self._unwritten, self._is_told = {}, False

    def _note(self, counted: Mapping[Errand, Traffic]) -> None:
        """Have more written down the next time."""
        for errand, traffic in counted.items():
            self._unwritten[errand] = self._unwritten.get(errand, Traffic()) + traffic
