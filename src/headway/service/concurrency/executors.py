"""Where blocking work runs, so that the event loop never waits and nothing starves the rest.

Rule 1: work that may block for long on somebody else (a connection, a stream that grows) has a thread of its own, which
        ends when its abort function has been called.
Rule 2: at most as many threads as there are cores unpack at once; one that waits for bytes gives its place away.
Rule 3: the disk and the database have fixed threads of their own.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar, TypeVarTuple

from headway.service.concurrency.unpack_places import UnpackPlaces

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")
DISK_THREADS = 4
GRACE_SECONDS = 5.0


class Executors:
    """The threads of one process.

    Args:
        unpackers: How many threads may unpack at once; by default as many as there are cores.
    """

    def __init__(self, unpackers: int | None = None) -> None:
        self._disk = ThreadPoolExecutor(DISK_THREADS, "disk")
        self._database = ThreadPoolExecutor(1, "database")
        self.unpack_places = UnpackPlaces(unpackers or len(os.sched_getaffinity(0)))

    async def disk(self, work: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Run `work` in a disk thread; a caller that is cancelled leaves it running."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments)

    async def disk_to_the_end(self, work: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Run `work` in a disk thread and return its result, even if the caller is cancelled: its next await raises.

        For work that has to be undone afterwards: a caller that left early would never learn what to undo.
        """
        return await to_the_end(asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments))

    async def database(self, work: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Run `work` in the one thread that writes records."""
        return await asyncio.get_running_loop().run_in_executor(self._database, work, *arguments)

    async def abandonable(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread of its own, which a caller that is cancelled leaves running."""
        return await asyncio.shield(Thread(work, abort=lambda: None, name="ask").done)

    def close(self) -> None:
        """End the fixed threads once their work is done."""
        self._disk.shutdown()
        self._database.shutdown()


async def to_the_end(future: asyncio.Future[T]) -> T:
    """Wait for a future and return its result, even if the caller is cancelled meanwhile: its next await raises."""
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError:
            cancelled = True
    task = asyncio.current_task()
    if cancelled and task is not None:
        task.uncancel()  # pass on the same cancellation, for whoever requested it counts one
        task.cancel()
    return future.result()


class Thread(Generic[T]):
    """Blocking work in a thread of its own, whose end a coroutine awaits.

    It is a daemon thread: one that cannot be woken (a name server does not answer) does not keep the process alive.

    Args:
        work: Called in the thread.
        abort: Makes `work` end soon; called at most once, from the event loop.
        name: Shown by debuggers.
    """

    def __init__(self, work: Callable[[], T], *, abort: Callable[[], object], name: str) -> None:
        loop = asyncio.get_running_loop()
        self.done: asyncio.Future[T] = loop.create_future()
        self._abort: Callable[[], object] | None = abort

        def fail(error: BaseException) -> None:
            if self.done.cancelled():
                return
            self.done.set_exception(error)
            self.done.exception()  # mark it as retrieved: nobody may be waiting for it any more

        def succeed(result: T) -> None:
            if not self.done.cancelled():
                self.done.set_result(result)

        def run() -> None:
            with suppress(RuntimeError):  # the event loop has ended
                try:
                    result = work()
                except BaseException as error:  # raised again where `done` is awaited
                    loop.call_soon_threadsafe(fail, error)
                else:
                    loop.call_soon_threadsafe(succeed, result)

        threading.Thread(target=contextvars.copy_context().run, args=(run,), name=name, daemon=True).start()

    def abort(self) -> None:
        """Make the work end soon."""
        abort, self._abort = self._abort, None
        if abort is not None:
            abort()

    async def stop(self) -> None:
        """Abort the work and wait for its end; after `GRACE_SECONDS` it is left behind."""
        if not self.done.done():
            self.abort()
            await asyncio.wait({self.done}, timeout=GRACE_SECONDS)
