"""A request's body for blocking code: a thread reads what the event loop receives.

Rule: little is held at a time; a client that sends faster than the disk writes is made to wait by TCP.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from aiohttp import web

from headway.engine.failures import AnsweredError
from headway.errors import IntegrityError, RequestError
from headway.service.concurrency.executors import Thread

T = TypeVar("T")
HELD_PIECES = 4


class BodyLostError(RequestError):
    """The client left in the middle of its body, or what it sent there is none."""


class BodySource:
    """`interfaces.files.TarSource` over a body; made and fed by `with_body`, inside an event loop."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._ended = False
        self._lost = False

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, ``b""`` at the end; called in a thread.

        Raises:
            BodyLostError: The client left before the end.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._ended or self._lost)
            if self._lost:
                raise BodyLostError("the request's body did not come to its end")
            if not self._pieces:
                return b""
            piece = self._pieces.popleft()
            if len(piece) > limit:
                self._pieces.appendleft(piece[limit:])
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._room.set)
        return piece[:limit]

    async def put(self, piece: bytes) -> None:
        """Hand over a piece, as soon as there is room for it."""
        while len(self._pieces) >= HELD_PIECES:
            self._room.clear()
            await self._room.wait()
        with self._changed:
            self._pieces.append(piece)
            self._changed.notify()

    def end(self, *, lost: bool = False) -> None:
        """Say that nothing more comes; `lost` says that something is missing."""
        with self._changed:
            self._ended, self._lost = True, lost
            self._changed.notify()


async def with_body(request: web.BaseRequest, work: Callable[[BodySource], T]) -> T:
    """Do blocking `work` while it reads the request's body; return what it gives, raise what it raises.

    The work has a thread of its own: a client may take hours to send, and must not hold those that others need.
    Whoever is cancelled waits for the work's end, which comes with its next read: what it writes to is open until then.

    Raises:
        AnsweredError: 400 where what was sent is broken: other than in a pull, it is the client who sent it.
    """
    source = BodySource()
    thread = Thread(partial(work, source), abort=partial(source.end, lost=True), name="upload")
    async with asyncio.TaskGroup() as group:
        feeding = group.create_task(_feed(request, source))
        await _ended(thread)
        feeding.cancel()  # what nobody reads any more
    try:
        return thread.done.result()
    except IntegrityError as error:
        raise AnsweredError(400, str(error)) from error


async def _ended(thread: Thread[T]) -> None:
    """Wait for a thread's end; who is cancelled meanwhile makes it end soon, and waits on."""
    cancelled = None
    while not thread.done.done():
        try:
            await asyncio.wait({thread.done})
        except asyncio.CancelledError as error:
            cancelled = error
            thread.abort()
    if cancelled is not None:
        raise cancelled


async def _feed(request: web.BaseRequest, source: BodySource) -> None:
    lost = True
    try:
        async for piece in request.content.iter_any():
            if piece:
                await source.put(piece)
        lost = False
    except (OSError, BodyLostError):  # OSError: TCP has given up, or TLS
        pass  # whoever reads is told
    finally:
        source.end(lost=lost)
