"""Runs blocking work (hashing, unpacking) over the bytes of an ingest while they arrive.

Rule 1: the work reads from the first byte on, and waits where one is missing; it does not know where bytes come from.
Rule 2: nothing is published before the blob's digest has been verified: the work waits for that verdict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future as Verdict
from typing import Generic, TypeVar

from headway.errors import HeadwayError, IntegrityError
from headway.interfaces.content import Follower, Ingest
from headway.service.concurrency.executors import Thread

T = TypeVar("T")


class Consumer(Generic[T]):
    """One piece of such work, which can be started again from the first byte.

    Args:
        ingest: Where the bytes arrive.
        work: Called in a thread with a follower, and with the verdict on the blob's digest, which it may wait for.
        name: Name of the thread.
        failed: Called when the work raised a `fatal` error.
        fatal: Class of errors after which more bytes would not help.
    """

    def __init__(
        self,
        ingest: Ingest,
        work: Callable[[Follower, Verdict[None]], T],
        *,
        name: str,
        failed: Callable[[], None],
        fatal: type[HeadwayError],
    ) -> None:
        self._ingest = ingest
        self._work = work
        self._name = name
        self._failed = failed
        self._fatal = fatal
        self.start()

    def start(self) -> None:
        """Start the work at the first byte."""
        follower = self._ingest.follow()
        verdict: Verdict[None] = Verdict()

        def abort() -> None:
            verdict.cancel()
            follower.stop()

        self._follower = follower
        self._verdict = verdict
        self._thread = Thread(lambda: self._work(follower, verdict), abort=abort, name=self._name)
        self._thread.done.add_done_callback(self._finished)

    def _finished(self, done: asyncio.Future[T]) -> None:
        if not done.cancelled() and isinstance(done.exception(), self._fatal):
            self._failed()

    def approve(self) -> None:
        """Tell the work that the whole blob has the right digest."""
        if not self._verdict.done():
            self._verdict.set_result(None)

    async def refuse(self) -> int | None:
        """Tell the work that the digest is wrong, and wait until it has ended.

        Returns:
            Offset at which it found the bytes to be invalid; None if it did not.
        """
        self._verdict.cancel()
        await asyncio.wait({self._thread.done})
        return self._follower.position if isinstance(self._error, IntegrityError) else None

    @property
    def _error(self) -> BaseException | None:
        done = self._thread.done
        return done.exception() if done.done() and not done.cancelled() else None

    @property
    def fatal_error(self) -> HeadwayError | None:
        """The `fatal` error that ended the work; None if there was none."""
        return self._error if isinstance(self._error, self._fatal) else None

    async def is_done_in(self, seconds: float) -> bool:
        """Tell whether the work ends within `seconds`, successfully or not."""
        if not self._thread.done.done():
            await asyncio.wait({self._thread.done}, timeout=seconds)
        return self._thread.done.done()

    async def result(self) -> T:
        """Return the result of the work, or raise its error."""
        return await asyncio.shield(self._thread.done)

    def abort(self) -> None:
        """Make the work end soon."""
        self._thread.abort()

    async def stop(self) -> None:
        """Abort the work, and wait until it has ended."""
        await self._thread.stop()
