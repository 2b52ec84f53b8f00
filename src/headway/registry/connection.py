"""One TCP or TLS connection to a registry, whose blocked calls another thread can end.

Rule 1: `Connection.abort` ends a blocked call by ``shutdown()``, which wakes it where ``close()`` does not.
Rule 2: what sockets, TLS and http.client raise is translated in `translated`, and only there.
"""

from __future__ import annotations

import errno
import http.client
import os
import select
import socket
import ssl
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import msgspec

from headway.distribution.proxies import Proxy
from headway.errors import Fault, HeadwayError, MisbehavedError, ProxyRefusedError, UnreachableError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

T = TypeVar("T")
CONNECT_SECONDS = 9.0  # SYNs go at 0, 1, 3 and 7 seconds; and an error about a wrong address comes within 10
MAX_PORT = 65535
SHOWN_CHARACTERS = 80
_MIN_WINDOW = 128 * 1024
_GIGABIT = 125_000_000
_TCP_INFO_RTT = slice(68, 72)  # tcpi_rtt, in microseconds (linux/tcp.h: struct tcp_info)


class Address(msgspec.Struct, frozen=True):
    """Where to connect.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Name or literal address, without brackets.
        port: TCP port.
        verify: Whether the certificate must be trusted.
        registry: Host of the registry that is asked or has led here; its certificates count here too.
    """

    scheme: str
    host: str
    port: int
    verify: bool = True
    registry: str = ""

    @classmethod
    def parse(cls, scheme: str, authority: str, *, verify: bool = True, registry: str = "") -> Address:
        """Return the address of ``host[:port]``.

        Raises:
            MisbehavedError: The port is not one.
        """
        host, port = authority, ""
        if authority.startswith("["):
            host, _, port = authority[1:].partition("]")
            port = port.removeprefix(":")
        elif authority.count(":") == 1:
            host, _, port = authority.partition(":")
        if port and not (port.isdecimal() and len(port) <= 5 and int(port) <= MAX_PORT):
            raise MisbehavedError(authority, "not a host and port")
        return cls(scheme, host, int(port) if port else (443 if scheme == "https" else 80), verify, registry)

    @property
    def authority(self) -> str:
        """``host:port``, with the port in any case."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


def split_url(url: str) -> urllib.parse.SplitResult | None:
    """Return the parts of a URL that a server sent, None where it is not one for HTTP."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.netloc else None


class HelloTimeoutError(TimeoutError):
    """Nothing answers the TLS hello: something else may listen there."""


class TlsSocket(ssl.SSLSocket):
    """A TLS socket that gives up on silence only.

    The time-out of ssl is for whole records: on a link of 300 B/s, the 16 KiB of one take a minute, and would be thrown
    away again and again. Here every piece of a record counts as a sign of life.
    """

    silence_seconds = CONNECT_SECONDS

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  # the standard library's signature
        """Agree on TLS."""
        del block
        self._patiently(super().do_handshake)

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """Receive what has arrived of the next record."""
        receive = super().recv_into
        return self._patiently(lambda: receive(buffer, nbytes, flags))

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send some of `data`."""
        send = super().send
        return self._patiently(lambda: send(data, flags))

    def _patiently(self, call: Callable[[], T]) -> T:
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                event = select.POLLIN
            except ssl.SSLWantWriteError:
                event = select.POLLOUT
            waiter = select.poll()
            waiter.register(self, event)
            if not waiter.poll(self.silence_seconds * 1000):
                raise TimeoutError


class Connection(http.client.HTTPConnection):
    """A connection whose blocked calls another thread can end.

    Args:
        address: Where to connect.
        context: TLS settings, None for plain HTTP.
        proxy: What leads there, None for nothing.
        connect_seconds: How long to wait for each of its addresses, and for the proxy to reach it.
        hello_seconds: How long TLS may wait for an answer.
    """

    def __init__(
        self,
        address: Address,
        context: ssl.SSLContext | None,
        *,
        proxy: Proxy | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        hello_seconds: float = CONNECT_SECONDS,
    ) -> None:
        nearest = proxy or address
        super().__init__(nearest.host, nearest.port, timeout=connect_seconds)
        self._address = address
        self._context = context
        self._connect_seconds = connect_seconds
        self._hello_seconds = hello_seconds
        self._ended = False
        self.proxy = proxy

    def connect(self) -> None:
        """Connect, through the proxy where there is one, and agree on TLS where that is wanted."""
        if self.proxy is None:
            raw = self._reach()
        else:
            with translated(f"the proxy {self.proxy}"):
                raw = self._reach()
                if self._context is not None:
                    self._ask_for_tunnel(raw, self.proxy)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        _clamp_window(raw)
        if self._context is not None:
            self._agree_on_tls(raw, self._context)

    def _reach(self) -> socket.socket:
        """Return a connection to the first of the host's addresses that answers."""
        failure = OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        for family, kind, protocol, _, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            try:
                # It stands in self.sock before it is connected, where abort() finds it.
                raw = self.sock = socket.socket(family, kind, protocol)
                raw.settimeout(self._connect_seconds)
                self._require_not_ended()
                raw.connect(address)
            except OSError as error:
                failure = error
                self.close()
                self._require_not_ended()
            else:
                return raw
        raise failure

    def _ask_for_tunnel(self, raw: socket.socket, proxy: Proxy) -> None:
        """Let the proxy connect us with the registry (RFC 9110, section 9.3.6)."""
        authority = self._address.authority
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if proxy.authorization:
            lines.append(f"Proxy-Authorization: {proxy.authorization}")
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        response = http.client.HTTPResponse(raw, method="CONNECT")
        try:
            response.begin()
        finally:
            response.close()
        check_proxy(proxy, response.status)
        if not 200 <= response.status < 300:
            said = f"the proxy {proxy} answers HTTP {response.status}"
            raise UnreachableError(str(self._address), Fault.PROXY, said)

    def _agree_on_tls(self, raw: socket.socket, context: ssl.SSLContext) -> None:
        tls = context.wrap_socket(raw, server_hostname=self._address.host, do_handshake_on_connect=False)
        self.sock = tls
        self._require_not_ended()
        tls.settimeout(0)
        self.limit(self._hello_seconds)
        try:
            tls.do_handshake()
        except TimeoutError:
            raise HelloTimeoutError from None

    def _require_not_ended(self) -> None:
        if self._ended:
            raise ConnectionAbortedError("aborted")

    def limit(self, seconds: float) -> None:
        """Let the next blocked call wait `seconds` for a byte."""
        if isinstance(self.sock, TlsSocket):
            self.sock.silence_seconds = seconds
        elif self.sock is not None and self.sock.gettimeout() != seconds:
            self.sock.settimeout(seconds)

    def abort(self) -> None:
        """Wake whoever is blocked on this connection, for good."""
        self._ended = True
        sock = self.sock
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


def check_proxy(proxy: Proxy, status: int) -> None:
    """Raise `ProxyRefusedError` where it is the proxy that refuses: for its own login, or a tunnel."""
    if status in (401, 403, 407):
        raise ProxyRefusedError(str(proxy), status, had_login=bool(proxy.authorization))


def _clamp_window(sock: socket.socket) -> None:
    """Let no more be under way than a gigabit link needs for this round trip.

    What lies in the receive buffer is lost when the process is killed; the kernel would let it grow to megabytes
    even on a link of 0.1 ms.
    """
    with suppress(OSError, AttributeError):
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        seconds = int.from_bytes(info[_TCP_INFO_RTT], "little") / 1e6
        window = max(_MIN_WINDOW, int(_GIGABIT * seconds))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, window)


def tls_context(*, verify: bool) -> ssl.SSLContext:
    """Return TLS settings, with or without a look at the certificate."""
    # Reading the system's certificates takes 50 ms; who looks at none needs none.
    context = ssl.create_default_context() if verify else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = TlsSocket
    # Private registries' CAs often lack the key usage extension that Python 3.13 began to demand; Docker accepts them.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.ENONET}


@contextmanager
def translated(endpoint: str, *, waiting: Fault = Fault.TIMEOUT) -> Iterator[None]:
    """Turn what sockets, TLS and http.client raise into `UnreachableError` and `MisbehavedError`.

    Args:
        endpoint: Host and port, for the message.
        waiting: What a time-out means here.
    """
    try:
        yield
    except HeadwayError:
        raise
    except http.client.HTTPException as error:
        raise _misread(endpoint, error) from error
    except OSError as error:
        raise UnreachableError(endpoint, *_fault(error, waiting)) from error
    except ValueError as error:  # behind OSError: a certificate that is not trusted is both
        raise _misread(endpoint, error) from error


def _misread(endpoint: str, error: http.client.HTTPException | ValueError) -> HeadwayError:
    match error:
        case http.client.RemoteDisconnected():
            return UnreachableError(endpoint, Fault.CUT, "closed without an answer")
        case http.client.IncompleteRead():
            return UnreachableError(endpoint, Fault.CUT)
        case http.client.HTTPException():
            said = f"{type(error).__name__}: {_shown(error)}"
            return MisbehavedError(endpoint, f"does not speak HTTP as it should ({said})")
        case UnicodeError():
            return UnreachableError(endpoint, Fault.UNKNOWN_NAME, "not a name that can exist")
        case _:
            return MisbehavedError(endpoint, f"sends a header that cannot be read ({_shown(error)})")


def _shown(error: Exception) -> str:
    """Return what a library says of bytes that a server sent, short and safe for a terminal."""
    return ascii(str(error))[:SHOWN_CHARACTERS]


def _fault(error: OSError, waiting: Fault) -> tuple[Fault, str]:
    match error:
        case HelloTimeoutError():
            return Fault.TLS, "no answer to the TLS hello"
        case ssl.SSLCertVerificationError():
            return Fault.CERTIFICATE, error.verify_message
        case ssl.SSLError():
            return Fault.TLS, error.reason or str(error)
        case TimeoutError():
            return waiting, ""
        case socket.gaierror():
            return Fault.NO_DNS if error.errno == socket.EAI_AGAIN else Fault.UNKNOWN_NAME, ""
        case ConnectionRefusedError():
            return Fault.REFUSED, ""
        case OSError(errno=number) if number in _NO_ROUTE:
            return Fault.NO_ROUTE, os.strerror(number or 0)
        case _:
            return Fault.CUT, error.strerror or ""
