"""Streams JSON messages to one client while work goes on (moby-behaviour 6.13).

Rule 1: until the first message an error is an HTTP error; afterwards it is the stream's last line.
Rule 2: a client that reads slowly delays nobody and costs bounded memory: a new state of a bar replaces an unread one.
Rule 3: a client that leaves ends the work; the results so far are kept.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from headway.engine.call import Call
from headway.engine.failures import failure
from headway.engine.messages import failed
from headway.engine.server import stream_headers

FLUSH_SECONDS = 0.1


class Line(Protocol):
    """A message."""

    def encode(self) -> bytes:
        """Return it as one line, with its newline."""


Emit = Callable[[Line, str], None]
"""As `messages.Emit`, for any kind of line."""


class _Outbox:
    """The messages still to be sent: bars by key, all others in order."""

    def __init__(self) -> None:
        self._pending: dict[str | int, Line] = {}
        self._numbers = itertools.count()
        self.filled = asyncio.Event()

    def put(self, message: Line, key: str) -> None:
        self._pending.pop(key, None)  # a step that follows a bar stands behind it
        self._pending[key or next(self._numbers)] = message
        self.filled.set()

    def take(self) -> bytes:
        self.filled.clear()
        pending, self._pending = self._pending, {}
        return b"".join(message.encode() for message in pending.values())


async def streamed(call: Call, work: Callable[[Emit], Awaitable[None]]) -> web.StreamResponse:
    """Run `work`, and answer with the messages that it emits meanwhile.

    Raises:
        ConnectionResetError: The client has left, and the work was cancelled.
        Exception: What `work` raised before it emitted anything.
    """
    outbox = _Outbox()
    response = web.StreamResponse(headers=stream_headers("application/json"))
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_outcome(work, outbox))
            while not task.done():
                filled = group.create_task(outbox.filled.wait())
                await asyncio.wait({task, filled}, return_when=asyncio.FIRST_COMPLETED)
                filled.cancel()
                await _send(call, response, outbox.take())
                if not task.done():
                    await asyncio.wait({task}, timeout=FLUSH_SECONDS)
    except BaseExceptionGroup as errors:
        if errors.split(ConnectionResetError)[1] is None:  # found out by writing, before the loop tells
            raise ConnectionResetError("the client has left") from errors
        raise
    error = task.result()
    if error is not None:
        if not response.prepared:
            raise error
        outbox.put(failed(failure(error).message), "")
    await _send(call, response, outbox.take())
    if not response.prepared:
        await response.prepare(call.request)
    await response.write_eof()
    return response


async def _outcome(work: Callable[[Emit], Awaitable[None]], outbox: _Outbox) -> Exception | None:
    try:
        await work(outbox.put)
    except Exception as error:  # it becomes an answer, by the caller
        return error
    return None


async def _send(call: Call, response: web.StreamResponse, data: bytes) -> None:
    if not data:
        return
    if not response.prepared:
        await response.prepare(call.request)
    await response.write(data)
