"""Connections of clients, and what they can make us hold.

Rule 1: it is bounded: headers, the time to send them, and connections.
Rule 2: a body is what was sent: nothing is decompressed because a header says so.
Rule 3: a client that leaves ends its handler at once, and nothing else. One that only says that it has sent
        everything (``echo … | socat - UNIX:…``) has not left; on TCP the two look the same, and it has.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from headway.engine.answers import refusal
from headway.engine.body import BodyLostError
from headway.engine.failures import failure
from headway.engine.listeners import BACKLOG
from headway.version import VERSION

log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

SERVER = {"Server": f"Headway/{VERSION} (linux)"}
MAX_HEADER_BYTES = 64 * 1024  # a login in X-Registry-Auth is one header, and some are several KiB long
REQUEST_SECONDS = 30.0
KEEPALIVE_SECONDS = 75.0
MAX_CONNECTIONS = 4096
ACCEPTS = 8
"""How many connections asyncio takes at once; where no file can be opened any more, it says so as often each second."""
CUT_SECONDS = 0.1
LOOK_SECONDS = 1.0


async def serve(
    protocol: Callable[[], asyncio.BaseProtocol], listener: socket.socket, tls: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Take connections of a listening socket.

    Args:
        protocol: Makes what answers one.
        listener: The socket.
        tls: What speaks TLS on it; None for none.
    """
    server = await asyncio.get_running_loop().create_server(protocol, sock=listener, ssl=tls, backlog=ACCEPTS)
    listener.listen(BACKLOG)  # for asyncio, how many it takes at once and how many may wait are one number
    return server


class BoundedServer(web.Server):
    """Serves any number of sockets (`serve`).

    Args:
        handler: Answers a request.
    """

    def __init__(self, handler: Handler) -> None:
        super().__init__(
            self._answer,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=KEEPALIVE_SECONDS,
            max_field_size=MAX_HEADER_BYTES,
            max_line_size=MAX_HEADER_BYTES,
            lingering_time=1.0,
            auto_decompress=False,
        )
        self._handler = handler

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # the base's
        """Answer no more: what is being answered has `timeout` seconds to end, None for ever, and is cut then."""
        try:
            async with asyncio.timeout(timeout):
                await super().shutdown(None)
        except TimeoutError:
            await super().shutdown(CUT_SECONDS)  # it waits twice that long, and then cancels what is left

    def __call__(self) -> RequestHandler:
        """Return the protocol of a new connection."""
        return _Connection(self, loop=asyncio.get_running_loop(), **self._kwargs)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        if isinstance(connection, _Connection):
            connection.request_came()
        try:
            return await self._handler(request)
        finally:
            if isinstance(connection, _Connection):
                connection.await_request(KEEPALIVE_SECONDS)


class _Connection(RequestHandler):
    """One connection; it has to send its next request within a time, headers and all."""

    __slots__ = ("_body", "_deadline", "_has_ended")

    def __init__(self, manager: BoundedServer, **settings: Any) -> None:  # noqa: ANN401  # passed on
        super().__init__(manager, **settings)
        self._deadline: asyncio.TimerHandle | None = None
        self._body: StreamReader | None = None  # of the newest request
        self._has_ended = False  # its client has sent everything

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        super().connection_made(transport)
        manager = self._manager
        if manager is not None and len(manager.connections) > MAX_CONNECTIONS:
            self.force_close()
            return
        self.await_request(REQUEST_SECONDS)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self.request_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        super().data_received(data)
        if not self._messages or self._messages[-1][1] is self._body:
            return
        if self._body is not None and not self._body.is_eof():  # what came in the middle of it is no HTTP
            self._body.set_exception(BodyLostError("the request's body is no HTTP"))
            self._body.feed_eof()
            self._messages.pop()  # the request has its answer; this would be a second one
            self.close()
            return
        self._body = self._messages[-1][1]

    def eof_received(self) -> bool:  # type: ignore[override]  # the base's always lets the connection be closed
        """Take note that nothing more comes; return whether the connection is kept for an answer."""
        is_answering = bool(self._messages) or self._waiter is None
        is_whole = self._body is not None and self._body.is_eof()
        if self.transport is None or not (is_answering and is_whole and _still_listens(self.transport)):
            return False
        self._has_ended = True
        self._close_behind_last()
        self._loop.call_later(LOOK_SECONDS, self._look)
        return True

    def _look(self) -> None:
        """End the connection once its client has left, too: the loop, which has seen the end, does not look again."""
        if self.transport is None:
            return
        if _still_listens(self.transport):
            self._loop.call_later(LOOK_SECONDS, self._look)
        else:
            self.force_close()

    def _close_behind_last(self) -> None:
        if self._has_ended and not self._messages:
            self.close()  # once what is being answered is

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP request, and end the connection.

        Anybody can send such a thing as often as he likes: it is worth a line where details are wanted, and no more.
        """
        if isinstance(exc, ConnectionResetError):
            raise exc  # the client has left between two pieces of an answer, as it may
        if status >= 500:
            told = failure(exc or RuntimeError(message))
            status, message = told.status, told.message
        if isinstance(exc, LineTooLong):  # its own words show the beginning of what was sent
            status, message = (
                431,
                f"a line of the request or of its headers is longer than {MAX_HEADER_BYTES >> 10} KiB",
            )
        words = " ".join((message or "").split())[:200] or "bad request"
        log.debug("no request: %s", words)
        if request.writer.output_size > 0:
            raise ConnectionResetError("an answer was being sent")
        response = refusal(status, words, headers=SERVER)
        response.force_close()
        return response

    def request_came(self) -> None:
        """Take note that the headers of a request are whole."""
        self._close_behind_last()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def await_request(self, seconds: float) -> None:
        """End the connection unless a whole request comes within `seconds`."""
        self.request_came()
        if self.transport is not None:
            self._deadline = self._loop.call_later(seconds, self._late)

    def _late(self) -> None:
        self._deadline = None
        self.force_close()


def _still_listens(transport: asyncio.BaseTransport) -> bool:
    """Whether a client that sends no more still takes an answer, as far as a unix socket tells."""
    client = transport.get_extra_info("socket")
    if client is None or client.family != socket.AF_UNIX:
        return False
    poll = select.poll()
    poll.register(client.fileno(), 0)
    return not poll.poll(0)  # POLLHUP is always told: both directions are shut
