"""Connections of clients, and limits on the resources they can take.

Rule 1: the size of headers, the time to send them, and the number of connections are limited.
Rule 2: a body is passed on as it was sent: no header makes us decompress it.
Rule 3: a client that disconnects ends its handler at once, and nothing else. One that only shuts down its sending side
        (``echo … | socat - UNIX:…``) still waits for an answer; on TCP the two cannot be told apart, and it counts as
        gone.
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
MAX_HEADER_BYTES = 64 * 1024  # X-Registry-Auth holds a whole login, and some of those have several KiB
REQUEST_SECONDS = 30.0
KEEPALIVE_SECONDS = 75.0
MAX_CONNECTIONS = 4096
ACCEPTS = 8
"""How many connections asyncio accepts at once; without a free file descriptor, it logs as many errors a second."""
CUT_SECONDS = 0.1
LOOK_SECONDS = 1.0


async def serve(
    protocol: Callable[[], asyncio.BaseProtocol], listener: socket.socket, tls: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Accept connections on a listening socket.

    Args:
        protocol: Makes the protocol of a new connection.
        listener: The socket.
        tls: TLS settings; None for plain connections.
    """
    server = await asyncio.get_running_loop().create_server(protocol, sock=listener, ssl=tls, backlog=ACCEPTS)
    listener.listen(BACKLOG)  # asyncio uses one number for how many it accepts at once and how many may wait
    return server


class BoundedServer(web.Server):
    """An HTTP server for any number of sockets (`serve`).

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
        """Take no more requests; those under way have `timeout` seconds to end (None: any time), then they are cut."""
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
    """One connection, whose client has to send the headers of its next request within a time limit."""

    __slots__ = ("_body", "_deadline", "_has_ended")

    def __init__(self, manager: BoundedServer, **settings: Any) -> None:  # noqa: ANN401  # passed on
        super().__init__(manager, **settings)
        self._deadline: asyncio.TimerHandle | None = None
        self._body: StreamReader | None = None  # the body of the newest request
        self._has_ended = False  # whether the client has shut down its sending side

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
        if self._body is not None and not self._body.is_eof():  # aiohttp reports broken chunks as another request
            self._body.set_exception(BodyLostError("the request's body is no HTTP"))
            self._body.feed_eof()
            self._messages.pop()  # it would get a second answer
            self.close()
            return
        self._body = self._messages[-1][1]

    def eof_received(self) -> bool:  # type: ignore[override]  # the base's always lets the connection be closed
        """Note that the client sends nothing more; return whether to keep the connection for an answer."""
        is_answering = bool(self._messages) or self._waiter is None
        is_whole = self._body is not None and self._body.is_eof()
        if self.transport is None or not (is_answering and is_whole and _still_listens(self.transport)):
            return False
        self._has_ended = True
        self._close_behind_last()
        self._loop.call_later(LOOK_SECONDS, self._look)
        return True

    def _look(self) -> None:
        """Close the connection once its client has gone altogether, which the event loop no longer watches for."""
        if self.transport is None:
            return
        if _still_listens(self.transport):
            self._loop.call_later(LOOK_SECONDS, self._look)
        else:
            self.force_close()

    def _close_behind_last(self) -> None:
        if self._has_ended and not self._messages:
            self.close()  # takes effect when the current answer is complete

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer something that is not a valid HTTP request, and close the connection.

        Anybody can send such things as often as they like, so they are only logged at level debug.
        """
        if isinstance(exc, ConnectionResetError):
            raise exc  # the client disconnected in the middle of an answer, which is not an error
        if status >= 500:
            answer = failure(exc or RuntimeError(message))
            status, message = answer.status, answer.message
        if isinstance(exc, LineTooLong):  # its own message quotes what was sent
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
        """Note that the headers of a request are complete."""
        self._close_behind_last()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def await_request(self, seconds: float) -> None:
        """Close the connection unless the headers of a request are complete within `seconds`."""
        self.request_came()
        if self.transport is not None:
            self._deadline = self._loop.call_later(seconds, self._late)

    def _late(self) -> None:
        self._deadline = None
        self.force_close()


def _still_listens(transport: asyncio.BaseTransport) -> bool:
    """Whether a client that has shut down its sending side still takes an answer; only a unix socket can tell."""
    client = transport.get_extra_info("socket")
    if client is None or client.family != socket.AF_UNIX:
        return False
    poll = select.poll()
    poll.register(client.fileno(), 0)
    return not poll.poll(0)  # POLLHUP, which is always reported, means that both directions are shut down
