"""One HTTP/1.1 request and its response, over a blocking socket that another thread can end.

Rule 1: a read returns what has arrived and never waits to fill a buffer: with a reset behind 64 KiB, a filling read
        of 1 MiB would return none of them.
Rule 2: nothing is retried here, except on a kept-alive connection that the server had closed already; and what carries
        a `Body` is not even then: part of it may have come through.
"""

from __future__ import annotations

import http.client
import logging
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from headway.distribution.patience import Stage
from headway.distribution.proxies import Proxy
from headway.errors import Fault, RegistryError, UnreachableError
from headway.registry.address import Address
from headway.registry.connection import Connection
from headway.registry.proxy import require_through
from headway.registry.response import Response, SlowHeadError
from headway.registry.sending import LOOK_SECONDS, Body, Transmission
from headway.registry.translation import translated
from headway.registry.transport import Transport, server_date
from headway.wire import USER_AGENT

log = logging.getLogger(__name__)

READ_BYTES = 1 << 18
SHORT_BYTES = 4096  # of a body that nobody wants: reading them costs less than another connection
LENGTH_DIGITS = 18  # of a Content-Length: no blob has more bytes, and a longer number is none that means anything
EARLY_SECONDS = 2.0  # for what was said before the connection was closed: it has arrived by then, or does not come
SOON_SECONDS = 4.0  # for a body that only explains an answer
DOCUMENT_SECONDS = 60.0
LEAST_RATE = 16.0  # bytes a second of a document, on average; a link of 300 B/s with ten at once gives twice as much
LARGE_BYTES = 16_384  # so many do not come in small packets only
_STAGES: dict[str, Stage] = {"PATCH": "piece", "PUT": "storing"}
_NOTHING_BEHIND = "nothing came behind the headers: are large packets lost on the way?"


class Exchange:
    """One request and its response.

    Nothing is sent before `send`, which blocks until the headers are here, as `read` does until some of the body is;
    `close` gives the connection back where the body was read to its end, and ends it otherwise.

    Args:
        transport: How this process reaches registries.
        address: Whom to ask.
        method: HTTP method.
        target: Path and query.
        headers: Beside those that every request has.
        form: A few bytes that go with it.
        body: What it carries up, any length of it; no `form` then.

    Attributes:
        address: Who is asked.
        stage: What the answer is waited for as.
        status: HTTP status; 0 before `send`.
        headers: Response headers; names compare without case.
        received: Bytes that came over the connection for this exchange, headers included (as counted before TLS).
        limit_seconds: How long a blocked call may wait for a byte; may be changed between calls.
        connect_seconds: How long to wait for a connection; None for as long as the host has shown to need.
        hello_seconds: The same for TLS.
        carried: Bytes of bodies that its connection has brought over, each of them answered; 0 before `send`.
    """

    def __init__(
        self,
        transport: Transport,
        address: Address,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        *,
        form: bytes | None = None,
        body: Body | None = None,
    ) -> None:
        self._transport = transport
        self.address = address
        self._method, self._target = method, target
        self._headers = {
            "Host": str(address),
            "User-Agent": USER_AGENT,
            "Accept-Encoding": "identity",
            **(headers or {}),
        }
        self._form, self._body = form, body
        self.stage = _STAGES.get(method, "answer")
        self._connection: Connection | None = None
        self._response: Response | None = None
        self._aborted = False
        self._is_cut_short = False
        self._lock = threading.Lock()
        self._body_bytes = 0
        self.status = 0
        self.headers: http.client.HTTPMessage = http.client.HTTPMessage()
        self.received = 0
        self.limit_seconds = transport.standing.patience.seconds(address.owner, self.stage)
        self.connect_seconds: float | None = None
        self.hello_seconds: float | None = None
        self.carried = 0

    @property
    def is_direct(self) -> bool:
        """Whether no proxy leads there."""
        return self._transport.proxy_for(self.address) is None

    @property
    def is_connected(self) -> bool:
        """Whether there has been a connection for it, whatever became of that."""
        return self._connection is not None and "connect" in self._connection.took

    @property
    def length(self) -> int | None:
        """What Content-Length says; None where it says nothing that can be, or stands beside chunks (RFC 9112, 6.3)."""
        is_chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        text = "" if is_chunked else self.headers.get("Content-Length", "").strip()
        return int(text) if text.isdecimal() and len(text) <= LENGTH_DIGITS else None

    def send(self) -> None:
        """Connect if need be, send the request and read the response's headers.

        Raises:
            UnreachableError: No connection, it was lost, or no answer came in time.
            MisbehavedError: What answers does not speak HTTP.
        """
        doubt = self._transport.doubt(self.address)
        doubt.require_clock()
        with translated(str(self.address)), self._idle_ones_dropped_on_silence():
            proxy = self._transport.proxy_for(self.address)
            connection = self._transport.idle_one(self.address, proxy, self._body)
            if connection is not None:
                if self._body is not None:
                    self._send_on(connection)
                    return
                with suppress(ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
                    self._send_on(connection)
                    return
                connection.close()  # the server had closed it while it was idle
            connection = self._transport.connection(
                self.address, proxy, connect_seconds=self.connect_seconds, hello_seconds=self.hello_seconds
            )
            try:
                self._send_on(connection)
            except ssl.SSLCertVerificationError as error:
                connection.close()
                raise doubt.explained(error, lambda: self._server_date(proxy)) from error

    def _send_on(self, connection: Connection) -> None:
        self._take_charge_of(connection)
        if connection.sock is None:
            connection.connect()
        connection.limit(self.limit_seconds)
        connection.clamp_window(self._transport.rate())
        connection.upload = None if self._body is None else self._body.upload
        target, headers = self._target, self._headers
        if connection.proxy is not None and self.address.scheme == "http":
            target = f"http://{self.address}{target}"
            if connection.proxy.authorization:
                headers = {**headers, "Proxy-Authorization": connection.proxy.authorization}
        began = time.monotonic()
        if self._body is not None:
            self._response = self._carry(connection, target, headers, self._body)
        else:
            connection.request(self._method, target, body=self._form, headers=headers)
            self._response = self._answer(connection)
        self._transport.standing.patience.took(self.address.owner, self.stage, time.monotonic() - began)
        self.status, self.headers = self._response.status, self._response.headers
        if connection.proxy is not None:
            require_through(connection.proxy, self.address, self._response)
        count = self._response.head_bytes
        self.received += count
        self._transport.meter.answered(count)

    def _carry(self, connection: Connection, target: str, headers: Mapping[str, str], body: Body) -> Response:
        """Send a request with a body, and return the answer, which may come before all of the body is sent."""
        self.carried = connection.carried
        connection.request(self._method, target, headers={**headers, "Content-Length": str(body.size)})
        assert connection.sock is not None  # noqa: S101  # it has just been written to
        transmission = Transmission(connection.sock, self.limit_seconds, self._transport.meter.sent)
        connection.limit(LOOK_SECONDS)
        try:
            transmission.send(body)
            transmission.await_answer()
        except (ConnectionError, ssl.SSLError) as error:
            response = self._early_answer(connection)
            if response is None:
                raise
            log.debug("%s answers before it has the whole body: %s", self.address, error)
            return response
        except TimeoutError:
            if transmission.is_acknowledged:  # else it is the link that is silent
                self._transport.standing.patience.too_short(self.address.owner, self.stage)
            raise
        connection.limit(self.limit_seconds)
        response = self._answer(connection)
        connection.carried += body.size  # a refused one has crossed, too
        self.carried = connection.carried
        return response

    def _early_answer(self, connection: Connection) -> Response | None:
        """Return what a server said before it closed the connection on the body, such as 401 or 413, if it did."""
        self._is_cut_short = True
        connection.limit(EARLY_SECONDS)
        with suppress(OSError, http.client.HTTPException):
            return connection.getresponse()
        return None

    def _answer(self, connection: Connection) -> Response:
        try:
            return connection.getresponse()
        except SlowHeadError:
            raise  # it was not silent: no packets are lost, and no longer wait would help
        except TimeoutError:
            self._transport.standing.patience.too_short(self.address.owner, self.stage)
            self._transport.standing.black_hole.swallowed(self.address.owner)
            raise

    def _take_charge_of(self, connection: Connection) -> None:
        with self._lock:
            if self._aborted:
                connection.close()
                raise ConnectionAbortedError("aborted")
            self._connection = connection

    def _server_date(self, proxy: Proxy | None) -> str | None:
        connection = self._transport.timeless_connection(self.address, proxy)
        self._take_charge_of(connection)
        return server_date(connection, self.address, self.limit_seconds)

    @contextmanager
    def _idle_ones_dropped_on_silence(self) -> Iterator[None]:
        """Let no later request wait where this one has (another network, an address that leads nowhere)."""
        try:
            yield
        except (TimeoutError, UnreachableError):
            if not self._aborted:  # what is ended while it connects says nothing of the others
                self._transport.idle.drop(self.address)
                if self._connection is not None:
                    self._connection.fell_silent()
            raise

    def read(self) -> bytes:
        """Return what has arrived of the body, at least a byte; nothing at its end.

        Raises:
            UnreachableError: The connection was lost or silent for too long, or the body ended before its length.
        """
        response, connection = self._response, self._connection
        if response is None or connection is None:
            return b""
        with translated(str(self.address), waiting=Fault.STALLED), self._idle_ones_dropped_on_silence():
            connection.limit(self.limit_seconds)
            connection.follow_rate(self._transport.rate())
            # read1 does not notice an end before Content-Length: `length` still says what is missing.
            missing = response.length
            data = self._read(response)
            if not data and missing:
                raise ConnectionResetError("the body ended before its length")
        self.received += len(data)
        self._transport.meter.received(len(data))
        return data

    def _read(self, response: Response) -> bytes:
        black_hole, host = self._transport.standing.black_hole, self.address.owner
        try:
            data = response.read1(READ_BYTES)
        except TimeoutError:
            if self._body_bytes:
                raise
            black_hole.swallowed(host)
            raise UnreachableError(str(self.address), Fault.STALLED, _NOTHING_BEHIND) from None
        if self._body_bytes < LARGE_BYTES <= self._body_bytes + len(data):
            black_hole.passed(host)
        self._body_bytes += len(data)
        return data

    def read_up_to(self, limit: int) -> bytes:
        """Return the rest of the body, `limit` bytes of it at most.

        Raises:
            UnreachableError: As for `read`, and where it comes so slowly that it is of no use to anybody who waits.
            MisbehavedError: As for `read`.
        """
        body = bytearray()
        began = time.monotonic()
        while len(body) < limit and (data := self.read()):
            body += data
            seconds = time.monotonic() - began
            if seconds > DOCUMENT_SECONDS and len(body) < seconds * LEAST_RATE:
                said = f"only {len(body)} bytes in {seconds:.0f} seconds"
                raise UnreachableError(str(self.address), Fault.STALLED, said)
        return bytes(body[:limit])

    def read_soon(self, limit: int) -> bytes:
        """Return what comes soon of the body, `limit` bytes at most: it says little, and may not come, or trickle."""
        body = bytearray()
        until = time.monotonic() + SOON_SECONDS
        with suppress(RegistryError):
            while len(body) < limit and (left := until - time.monotonic()) > 0:
                self.limit_seconds = min(self.limit_seconds, left)
                if not (data := self.read()):
                    break
                body += data
        return bytes(body[:limit])

    def finish(self) -> None:
        """Read a short rest of the body that nobody wants: the connection can then serve the next exchange."""
        if self._response is not None and 0 < (self._response.length or 0) <= SHORT_BYTES:
            self.read_soon(SHORT_BYTES)

    def abort(self) -> None:
        """Make a call that is blocked in another thread end; later ones end at once."""
        with self._lock:
            self._aborted = True
            if self._connection is not None:
                self._connection.abort()

    def close(self) -> None:
        """Give the connection back for the next exchange, or end it where the body was not read to its end."""
        connection, response = self._connection, self._response
        self._connection = self._response = None
        if connection is None:
            return
        reusable = False
        if response is not None:
            finished = response.isclosed() or response.length == 0
            reusable = finished and not (response.will_close or self._aborted or self._is_cut_short)
            response.close()
        if reusable:
            self._transport.idle.give_back(self.address, connection)
        else:
            connection.close()
