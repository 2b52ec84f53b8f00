"""One TCP or TLS connection to a registry, whose blocked calls another thread can end.

Rule 1: `Connection.abort` ends a blocked call by ``shutdown()``, which wakes it where ``close()`` does not.
Rule 2: how long its stages took, or that they took too long, is reported for those who come later.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from headway.distribution.patience import Stage
from headway.distribution.proxies import Proxy
from headway.distribution.standing import Standing
from headway.errors import UnreachableError
from headway.registry.address import Address
from headway.registry.dialing import Race
from headway.registry.names import Names
from headway.registry.proxy import open_tunnel
from headway.registry.response import Response
from headway.registry.tls import NO_CHECK_TIME, HelloTimeoutError, TlsSocket
from headway.registry.translation import translated
from headway.registry.window import KeptRate, clamp_window


class Connection(http.client.HTTPConnection):
    """A connection whose blocked calls another thread can end.

    Args:
        address: Where to connect.
        context: TLS settings, None for plain HTTP.
        names: Finds hosts.
        standing: What the registry has shown.
        proxy: What leads there, None for nothing.
        connect_seconds: How long to wait for a name server, for each of the addresses, and for the proxy to reach it;
            None for as long as the registry has shown to need.
        hello_seconds: The same for TLS.

    Attributes:
        carried: Bytes of bodies that it has brought up, each of them answered.
        upload: What the last request was a part of (`sending.Body`); None where nothing of that is to come.
        took: How long each stage took, in seconds.
    """

    response_class = Response

    def __init__(
        self,
        address: Address,
        context: ssl.SSLContext | None,
        names: Names,
        standing: Standing,
        *,
        proxy: Proxy | None = None,
        connect_seconds: float | None = None,
        hello_seconds: float | None = None,
    ) -> None:
        nearest = proxy or address
        patience = standing.patience
        self._registry = address.owner
        self._connect_seconds = connect_seconds or patience.seconds(self._registry, "connect")
        self._hello_seconds = hello_seconds or patience.seconds(self._registry, "hello")
        super().__init__(nearest.host, nearest.port, timeout=self._connect_seconds)
        self._address = address
        self._context = context
        self._names = names
        self._standing = standing
        self._may_be_silent = hello_seconds is not None  # it need not speak TLS at all
        self._race: Race | None = None
        self._reached = ""  # which of the host's addresses
        self._ended = False
        self._clamped_to: KeptRate | None = None
        self.proxy = proxy
        self.carried = 0
        self.upload: object = None
        self.took: dict[Stage, float] = {}

    def connect(self) -> None:
        """Connect, through the proxy where there is one, and agree on TLS where that is wanted."""
        nearest, led_by = str(self._address), self._address.led_by
        if self.proxy is not None:
            nearest, led_by = f"the proxy {self.proxy}", ""
        with self._outage_noted(), translated(nearest, led_by=led_by):
            raw = self._reach()
        if self.proxy is not None and self._context is not None:
            open_tunnel(raw, self.proxy, self._address)
        if self.proxy is None or self._context is not None:  # by plain HTTP, a proxy reaches nobody before it is asked
            self._standing.reached.add(self._registry)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.clamp_window(None)
        if self._context is not None:
            self._agree_on_tls(raw, self._context)

    @contextmanager
    def _outage_noted(self) -> Iterator[None]:
        """Take note of whether the block connects, and let its error say what could not be connected to."""
        place = self.host, self.port
        try:
            yield
        except UnreachableError as error:
            if not self._ended:
                error.unconnected = place
                self._standing.outages.failed(place, now=time.monotonic())
            raise
        self._standing.outages.worked(place)

    def _reach(self) -> socket.socket:
        """Return a connection to the first of the host's addresses that answers."""
        seconds = self._connect_seconds
        addresses = self._names.lookup(self.host, seconds=seconds, require=self._require_not_ended)
        segment_bytes = self._standing.black_hole.segment_bytes(self._registry)
        race = self._race = Race(addresses, self.port, seconds=seconds, segment_bytes=segment_bytes)
        self._require_not_ended()
        began = time.monotonic()
        try:
            raw, address = race.run()
        except OSError as error:
            self._names.forget(self.host)
            if isinstance(error, TimeoutError):
                self._standing.patience.too_short(self._registry, "connect")
            raise
        self.sock = raw
        raw.settimeout(seconds)
        self._require_not_ended()
        self._took("connect", began)
        self._names.connected(self.host, address)
        self._reached = address
        return raw

    def _took(self, stage: Stage, began: float) -> None:
        self.took[stage] = time.monotonic() - began
        self._standing.patience.took(self._registry, stage, self.took[stage])

    def _agree_on_tls(self, raw: socket.socket, context: ssl.SSLContext) -> None:
        tls = context.wrap_socket(raw, server_hostname=self._address.host, do_handshake_on_connect=False)
        self.sock = tls
        self._require_not_ended()
        tls.settimeout(0)
        self.limit(self._hello_seconds)
        began = time.monotonic()
        try:
            tls.do_handshake()
        except TimeoutError:
            self._standing.patience.too_short(self._registry, "hello")
            if not self._may_be_silent:
                self._standing.black_hole.swallowed(self._registry)  # certificates make large packets
            raise HelloTimeoutError from None
        except ssl.SSLCertVerificationError:
            self._names.forget(self.host)  # a captive portal's name server may have led here
            raise
        self._took("hello", began)
        if context.verify_mode is ssl.CERT_REQUIRED and not context.verify_flags & NO_CHECK_TIME:
            self._standing.trusted.add(self._address.host)

    @property
    def tls_version(self) -> str:
        """What was agreed on, as ``TLSv1.3``; empty without TLS."""
        return (self.sock.version() or "") if isinstance(self.sock, ssl.SSLSocket) else ""

    def _require_not_ended(self) -> None:
        if self._ended:
            raise ConnectionAbortedError("aborted")

    def clamp_window(self, kept: KeptRate | None) -> None:
        """Let no more be under way than a rate needs (`window.clamp_window`)."""
        self._clamped_to = kept
        if self.sock is not None:
            clamp_window(self.sock, kept)

    def follow_rate(self, kept: KeptRate | None) -> None:
        """Clamp the window anew where the rate is another one than it was clamped to: a request may take hours."""
        if (kept and kept.rate) != (self._clamped_to and self._clamped_to.rate):
            self.clamp_window(kept)

    def limit(self, seconds: float) -> None:
        """Let the next blocked call wait `seconds` for a byte."""
        if isinstance(self.sock, TlsSocket):
            self.sock.silence_seconds = seconds
        elif self.sock is not None and self.sock.gettimeout() != seconds:
            self.sock.settimeout(seconds)

    def fell_silent(self) -> None:
        """Let the next connection try the host's other addresses first: this one leads nowhere."""
        if self._reached:
            self._names.fell_silent(self.host, self._reached)

    def is_ended_by_peer(self) -> bool:
        """Tell whether the other side has closed it while it was idle, or says something that nobody asked for."""
        sock = self.sock
        if sock is None:
            return True
        waiter = select.poll()
        waiter.register(sock, select.POLLIN)
        return bool(waiter.poll(0))

    def getresponse(self) -> Response:
        """Return the answer to the request that was sent; see `http.client.HTTPConnection.getresponse`."""
        response = super().getresponse()
        assert isinstance(response, Response)  # noqa: S101  # it is `response_class`
        return response

    def abort(self) -> None:
        """Wake whoever is blocked on this connection, for good."""
        self._ended = True
        if self._race is not None:
            self._race.abort()
        sock = self.sock
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
