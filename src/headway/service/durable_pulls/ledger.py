"""Writes the records of pulls while the event loop goes on.

Rule: records of one pull are written in the order of its changes; of several that wait, only the last is written.
"""

from __future__ import annotations

import asyncio
import logging

from headway.errors import HeadwayError
from headway.interfaces.pulls import PullRecord, PullStore
from headway.service.concurrency.executors import to_the_end

log = logging.getLogger(__name__)


class PullLedger:
    """Keeps records up to date."""

    def __init__(self, store: PullStore) -> None:
        self._store = store
        self._waiting: dict[str, PullRecord] = {}
        self._writing = asyncio.Lock()
        self._told = asyncio.Event()

    def note(self, record: PullRecord) -> None:
        """Have a record written soon."""
        self._waiting[record.pull_id] = record
        self._told.set()

    async def settle(self) -> None:
        """Return when everything that was noted is durable, or cannot be written.

        A disk that fails stops no pull: what a pull has achieved is in other records, and after a restart it is taken
        up from the last one that was written.
        """
        async with self._writing:
            while self._waiting:
                pull_id, record = next(iter(self._waiting.items()))
                del self._waiting[pull_id]
                writing = asyncio.get_running_loop().run_in_executor(None, self._store.put, record)
                try:
                    await to_the_end(writing)  # though who waits is cancelled: the next one is not to overtake it
                except HeadwayError as error:
                    log.warning("pull %s is %s, and this cannot be recorded: %s", pull_id, record.state, error)

    async def keep(self) -> None:
        """Write what is noted, for ever."""
        while True:
            await self._told.wait()
            self._told.clear()
            await self.settle()
