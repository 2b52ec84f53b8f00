"""The HTTP server of the Engine API: from a connection to a handler, and from what it gives or raises to an answer.

Rule 1: a handler raises what went wrong; the answer is made here, from `failures`.
Rule 2: a client that leaves ends its handler at once, and nothing else.
Rule 3: an address without TLS takes nothing that a web page could send: no ``Origin``, no foreign ``Host``.
Rule 4: what a client can make us hold is bounded: headers, documents, the time to send them, and connections.
Rule 5: a body is what was sent: nothing is decompressed because a header says so.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from headway import wire
from headway.engine.api_version import NEWEST, negotiated
from headway.engine.call import Call
from headway.engine.failures import ForbiddenError, error_body, failure
from headway.engine.routing import Match, Route, Router, cleaned, split_version
from headway.errors import HeadwayError
from headway.version import VERSION

log = logging.getLogger(__name__)

Took: TypeAlias = Callable[[str, str, int, float], None]

MAX_HEADER_BYTES = 64 * 1024  # a login in X-Registry-Auth is one header, and some are several KiB long
REQUEST_SECONDS = 30.0
KEEPALIVE_SECONDS = 75.0
MAX_CONNECTIONS = 4096

CUT_SECONDS = 0.1

_SERVER = {"Server": f"Headway/{VERSION} (linux)"}
_HEADERS = {"Api-Version": str(NEWEST), "Ostype": "linux", "Docker-Experimental": "false", **_SERVER}


class EngineServer(web.Server):
    """Serves one table of routes on any number of sockets (`asyncio.loop.create_server(server, sock=…)`).

    Args:
        routes: What there is.
        took: Told of each answered request: its method, its route, the status, and how many seconds it took.
    """

    def __init__(self, routes: Iterable[Route], took: Took = lambda *_: None) -> None:
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
        self._router = Router(routes)
        self._took = took
        self._ids = itertools.count(1)
        self._endless: set[asyncio.Timeout] = set()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # the base's
        """Answer no more: streams without an end of their own end, and others have `timeout` seconds before a cut."""
        for stream in self._endless:
            stream.reschedule(asyncio.get_running_loop().time())
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
            return await self._routed(request)
        finally:
            if isinstance(connection, _Connection):
                connection.await_request(KEEPALIVE_SECONDS)

    async def _routed(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response(headers=_SERVER)
        if (path := cleaned(request.path)) != (request.path.rstrip("/") or "/"):
            location = str(request.rel_url.with_path(path, keep_query=True))
            return web.Response(status=301, headers={"Location": location, **_SERVER})
        version, bare = split_version(path)
        match = self._router.match(request.method, bare)
        if match is None:
            return _failed(404, "page not found", headers=_SERVER)
        began = time.monotonic()
        response = await self._handled(request, version, match)
        self._took(request.method, match.path, response.status, time.monotonic() - began)
        return response

    async def _handled(self, request: web.BaseRequest, version: str | None, match: Match) -> web.StreamResponse:
        request_id = f"{next(self._ids):x}"
        log.debug("request %s: %s %s", request_id, request.method, request.path)
        try:
            _check_origin(request)
            call = Call(request, negotiated(version), match.places, request_id, self._endless)
            _invite_body(request)
            response = await match.handler(call)
        except (asyncio.CancelledError, ConnectionResetError):
            raise  # the client has left
        except Exception as error:  # every other one becomes an answer; what is not in the table is logged there
            told = failure(error)
            log.debug("request %s: %d %s", request_id, told.status, told.message)
            known = error if isinstance(error, HeadwayError) and wire.is_ours(request.headers) else None
            return _failed(told.status, told.message, headers=_HEADERS, error=known)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response


def _failed(status: int, message: str, *, headers: dict[str, str], error: HeadwayError | None = None) -> web.Response:
    body = error_body(message, error)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def _invite_body(request: web.BaseRequest) -> None:
    """Let a client send its body that waits to be told so (RFC 9110 10.1.1): curl waits a second, others for ever."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def stream_headers(content_type: str) -> dict[str, str]:
    """Return the headers of an answer that a handler begins by itself."""
    return {**_HEADERS, "Content-Type": content_type}


def _check_origin(request: web.BaseRequest) -> None:
    """Refuse what a page in a browser on this machine could send to an address without TLS (DNS rebinding, CSRF).

    Raises:
        ForbiddenError: It names an origin, or a host that is not this address.
    """
    transport = request.transport
    address = transport.get_extra_info("sockname") if transport is not None else None
    if not isinstance(address, tuple) or request.secure:
        return
    if "Origin" in request.headers:
        raise ForbiddenError("requests of web pages are not taken on an address without TLS")
    host = request.headers.get("Host", "").rpartition(":")[0] or request.headers.get("Host", "")
    if not _is_own_host(host.strip("[]"), str(address[0])):
        raise ForbiddenError(f"this address is not {host[:253]!r}: without TLS, Host must be a loopback address")


def _is_own_host(host: str, address: str) -> bool:
    if host in ("localhost", address):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Connection(RequestHandler):
    """One connection; it has to send its next request within a time, headers and all."""

    __slots__ = ("_deadline",)

    def __init__(self, manager: EngineServer, **settings: Any) -> None:  # noqa: ANN401  # passed on
        super().__init__(manager, **settings)
        self._deadline: asyncio.TimerHandle | None = None

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
        words = " ".join((message or "").split())[:200] or "bad request"
        log.debug("no request: %s", words)
        if request.writer.output_size > 0:
            raise ConnectionResetError("an answer was being sent")
        response = _failed(status, words, headers=_SERVER)
        response.force_close()
        return response

    def request_came(self) -> None:
        """Take note that the headers of a request are whole."""
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
