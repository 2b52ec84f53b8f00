"""How many bytes an errand may take off the network.

Rule 1: what would exceed the budget is refused before a layer is asked for.
Rule 2: what exceeds it all the same (bytes lost on the way) stops there: who has received its last byte stands still
        until it is stopped, so that no fast link brings more meanwhile. What has arrived is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from headway.errors import OverBudgetError
from headway.service.together import raise_one

CHECK_SECONDS = 0.1
_LOOK_SECONDS = 0.02


class Counting(Protocol):
    """Counts bytes that are received."""

    @property
    def received_bytes(self) -> int:
        """So many so far."""


class Budget:
    """A budget for what one meter counts.

    Args:
        meter: Counts.
        limit: Bytes that may be received.
        began: What the meter had counted before.
    """

    def __init__(self, meter: Counting, limit: int, *, began: int = 0) -> None:
        self._meter = meter
        self._limit = limit
        self._began = began
        self._is_kept = False

    @property
    def spent(self) -> int:
        """Bytes received so far."""
        return self._meter.received_bytes - self._began

    def check(self, crossing: int) -> None:
        """Make sure that bytes that are going to cross are within what is left.

        Raises:
            OverBudgetError: They are not.
        """
        if self.spent + crossing > self._limit:
            raise OverBudgetError(self._limit, self.spent, crossing)

    def wait(self, *, is_over: Callable[[], bool]) -> None:
        """Wait, where the budget is spent, until its errand is stopped: nobody else is held up by it then.

        Args:
            is_over: Asked meanwhile: whether nobody wants any more bytes.
        """
        while self._is_kept and self.spent > self._limit and not is_over():
            time.sleep(_LOOK_SECONDS)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Cancel the block once the budget is spent; what the block raises goes on as it is.

        Raises:
            OverBudgetError: It was.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine runs in one
        over = False

        async def watch() -> None:
            nonlocal over
            while self.spent <= self._limit:  # noqa: ASYNC110  # bytes are counted in threads that know no event loop
                await asyncio.sleep(CHECK_SECONDS)
            over = True
            task.cancel()

        self._is_kept = True
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(watch())
                try:
                    yield
                except asyncio.CancelledError:
                    if not over:
                        raise
                    task.uncancel()
                finally:
                    watching.cancel()
        except BaseExceptionGroup as errors:
            raise_one(errors)
        finally:
            self._is_kept = False
        if over:
            raise OverBudgetError(self._limit, self.spent, 0)
