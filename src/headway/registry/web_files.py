"""Fetches a file from any web server, over the same connections, proxies and certificates as for registries."""

from __future__ import annotations

import http.client
from contextlib import ExitStack

from headway.distribution.endpoints import Endpoint
from headway.distribution.web_file import WebFile
from headway.errors import FetchRefusedError
from headway.registry.answers import validator_of
from headway.registry.exchange import Exchange
from headway.registry.request import Request, Sender

MAX_ERROR_BYTES = 1024


class WebClient:
    """Implements `interfaces.registries.WebFiles` over HTTP.

    Args:
        sender: Whose connections and memory of hosts are used.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def look(self, endpoint: Endpoint) -> WebFile | None:
        """Return what the server says of a file; None where it says nothing to a HEAD."""
        with Request(self._sender, endpoint, "", "HEAD", endpoint.blob_path, {}) as request:
            exchange = request.send()
            return WebFile(exchange.length, validator_of(exchange)) if exchange.status == 200 else None

    def open(self, endpoint: Endpoint, url: str) -> WebStream:
        """Return the file, once its headers are here."""
        request = Request(self._sender, endpoint, "", "GET", endpoint.blob_path, {})
        with ExitStack() as closing:
            closing.callback(request.close)
            exchange = request.send()
            if exchange.status != 200:
                raise _refused(url, exchange)
            closing.pop_all()
        return WebStream(request, exchange)


class WebStream:
    """Implements `interfaces.registries.WebStream`; made by `WebClient.open`."""

    def __init__(self, request: Request, exchange: Exchange) -> None:
        self._request = request
        self._exchange = exchange
        self._held = b""
        self.size = exchange.length

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, ``b""`` at the end."""
        held = self._held or self._exchange.read()
        self._held = held[limit:]
        return held[:limit]

    def abort(self) -> None:
        """Make the call that is under way in another thread end."""
        self._request.abort()

    def close(self) -> None:
        """End the connection, or give it back."""
        self._request.close()


def _refused(url: str, exchange: Exchange) -> FetchRefusedError:
    body = exchange.read_soon(MAX_ERROR_BYTES)
    reason = http.client.responses.get(exchange.status, "")
    return FetchRefusedError(str(exchange.address), url, exchange.status, reason, body.decode(errors="replace"))
