"""The HTTP server of the Engine API: finds the handler of a request, and turns its result or its error into an answer.

Rule 1: a handler raises an error; the answer is made of it here, with `failures`.
Rule 2: an error on one of Headway's own routes, or for its own command, carries its class and its attributes beside
        Docker's ``message``.
Rule 3: an address without TLS refuses whatever a web page could send: anything with ``Origin`` or a foreign ``Host``.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import logging
import time
from collections.abc import Callable, Iterable
from typing import TypeAlias

from aiohttp import HttpVersion11, web

from headway import wire
from headway.engine.answers import refusal
from headway.engine.api_version import NEWEST, negotiated
from headway.engine.call import Call
from headway.engine.connections import SERVER, BoundedServer
from headway.engine.failures import ForbiddenError, failure
from headway.engine.routing import Match, Route, Router, cleaned, split_version
from headway.errors import HeadwayError

log = logging.getLogger(__name__)

OWN = "/headway/"
"""Prefix of the paths of Headway's own routes."""

Took: TypeAlias = Callable[[str, str, int, float], None]

_HEADERS = {"Api-Version": str(NEWEST), "Ostype": "linux", "Docker-Experimental": "false", **SERVER}


class EngineServer(BoundedServer):
    """Serves one table of routes.

    Args:
        routes: The table.
        took: Called after each request with its method, its route, the status, and how many seconds it took.
    """

    def __init__(self, routes: Iterable[Route], took: Took = lambda *_: None) -> None:
        super().__init__(self._routed)
        self._router = Router(routes)
        self._took = took
        self._ids = itertools.count(1)
        self._endless: set[asyncio.Timeout] = set()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # the base's
        """See `BoundedServer.shutdown`; endless streams (events, say) are ended at once."""
        for stream in self._endless:
            stream.reschedule(asyncio.get_running_loop().time())
        await super().shutdown(timeout)

    async def _routed(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response(headers=_HEADERS)
        if request.headers.get("Expect", "100-continue").lower() != "100-continue":
            refused = web.Response(status=417, headers=SERVER)
            refused.force_close()
            return refused
        if (path := cleaned(request.path)) != request.path:
            location = str(request.rel_url.with_path(path, keep_query=True))
            return web.Response(status=301, headers={"Location": location, **SERVER})
        version, bare = split_version(path)
        match = self._router.match(request.method, bare)
        if match is None:
            return refusal(404, "page not found", headers=SERVER)
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
            raise  # the client has disconnected
        except Exception as error:  # any other becomes an answer; `failure` logs those that are bugs
            answer = failure(error)
            log.debug("request %s: %d %s", request_id, answer.status, answer.message)
            is_own = match.path.startswith(OWN) or wire.is_ours(request.headers)
            known = error if is_own and isinstance(error, HeadwayError) else None
            return refusal(answer.status, answer.message, headers=_HEADERS, error=known)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response


def _invite_body(request: web.BaseRequest) -> None:
    """Answer ``Expect: 100-continue`` (RFC 9110 section 10.1.1): curl waits for it for a second, others for ever.

    A client that speaks HTTP/1.0 does not know this answer, and would take it for the final one.
    """
    if request.version < HttpVersion11:
        return
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def stream_headers(content_type: str) -> dict[str, str]:
    """Return the headers of an answer that a handler streams by itself."""
    return {**_HEADERS, "Content-Type": content_type}


def _check_origin(request: web.BaseRequest) -> None:
    """Refuse what a page in a browser on this machine could send to an address without TLS (DNS rebinding, CSRF).

    Raises:
        ForbiddenError: The request names an origin, or a host that is not this address.
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
    if host.lower() in ("localhost", address):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
