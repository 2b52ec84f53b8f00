"""A limit on the bytes that a pull may receive from the network (``--max-bytes``).

Rule 1: a pull that is known to exceed its budget is refused before a layer is asked for.
Rule 2: one that exceeds it nevertheless, because bytes were lost on the way, is stopped at the limit: its receiving
        threads wait at that point until they are aborted, so that a fast link brings no more. What arrived is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from headway.errors import OverBudgetError
from headway.service.concurrency.together import raise_one

CHECK_SECONDS = 0.1
_LOOK_SECONDS = 0.02


class Counting(Protocol):
    """A counter of received bytes."""

    @property
    def received_bytes(self) -> int:
        """Bytes received so far."""


class Budget:
    """A budget for the bytes that one meter counts.

    Args:
        meter: Counts the bytes received.
        limit: Bytes that may be received.
        began: What the meter had counted before the budget began.
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
        """Check that `crossing` more bytes are within the budget.

        Raises:
            OverBudgetError: They are not.
        """
        if self.spent + crossing > self._limit:
            raise OverBudgetError(self._limit, self.spent, crossing)

    def wait(self, *, is_over: Callable[[], bool]) -> None:
        """Block while the budget is spent, until the caller is aborted or the watched block has ended.

        Args:
            is_over: Returns whether the caller was aborted; asked again and again.
        """
        while self._is_kept and self.spent > self._limit and not is_over():
            time.sleep(_LOOK_SECONDS)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Watch over the block, and cancel it once the budget is spent; other exceptions of the block pass unchanged.

        Raises:
            OverBudgetError: The budget was spent.
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
