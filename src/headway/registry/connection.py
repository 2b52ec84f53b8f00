"""One TCP or TLS connection to a registry, whose blocked calls another thread can end.

Rule 1: `Connection.abort` ends a blocked call by ``shutdown()``, which wakes it where ``close()`` does not.
Rule 2: what sockets, TLS and http.client raise is translated in `translated`, and only there.
"""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from headway.errors import Fault, HeadwayError, MisbehavedError, UnreachableError

CONNECT_SECONDS = 10.0
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
    """

    scheme: str
    host: str
    port: int
    verify: bool = True

    @classmethod
    def parse(cls, scheme: str, authority: str, *, verify: bool = True) -> Address:
        """Return the address of ``host[:port]``.

        Raises:
            MisbehavedError: The port is not a number.
        """
        host, port = authority, ""
        if authority.startswith("["):
            host, _, port = authority[1:].partition("]")
            port = port.removeprefix(":")
        elif authority.count(":") == 1:
            host, _, port = authority.partition(":")
        if port and not port.isdigit():
            raise MisbehavedError(authority, "not a host and port")
        return cls(scheme, host, int(port) if port else (443 if scheme == "https" else 80), verify)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


class Connection(http.client.HTTPConnection):
    """A connection whose blocked calls another thread can end.

    Args:
        address: Where to connect.
        context: TLS settings, None for plain HTTP.
    """

    def __init__(self, address: Address, context: ssl.SSLContext | None) -> None:
        super().__init__(address.host, address.port, timeout=CONNECT_SECONDS)
        self._context = context
        self._raw: socket.socket | None = None
        self._ended = False

    def connect(self) -> None:
        """Connect, and agree on TLS where that is wanted."""
        raw = socket.create_connection((self.host, self.port), timeout=CONNECT_SECONDS)
        self._raw = raw
        if self._ended:
            raw.close()
            raise ConnectionAbortedError("aborted")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        _clamp_window(raw)
        self.sock = raw if self._context is None else self._context.wrap_socket(raw, server_hostname=self.host)

    def limit(self, seconds: float) -> None:
        """Let the next blocked call wait `seconds` for a byte."""
        if self.sock is not None and self.sock.gettimeout() != seconds:
            self.sock.settimeout(seconds)

    def abort(self) -> None:
        """Wake whoever is blocked on this connection, for good."""
        self._ended = True
        if self._raw is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.sock or self._raw, socket.SHUT_RDWR)


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
    context = ssl.create_default_context()
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
    except http.client.RemoteDisconnected as error:
        raise UnreachableError(endpoint, Fault.CUT, "closed without an answer") from error
    except http.client.IncompleteRead as error:
        raise UnreachableError(endpoint, Fault.CUT) from error
    except http.client.HTTPException as error:
        raise MisbehavedError(
            endpoint, f"does not speak HTTP as it should ({type(error).__name__}: {error})"
        ) from error
    except ValueError as error:
        raise MisbehavedError(endpoint, f"sends a header that cannot be read ({error})") from error
    except OSError as error:
        raise UnreachableError(endpoint, *_fault(error, waiting)) from error


def _fault(error: OSError, waiting: Fault) -> tuple[Fault, str]:
    match error:
        case ssl.SSLCertVerificationError():
            return Fault.CERTIFICATE, error.verify_message
        case ssl.SSLError():
            return Fault.TLS, error.reason or str(error)
        case TimeoutError():
            return waiting, ""
        case socket.gaierror(errno=socket.EAI_AGAIN):
            return Fault.NO_DNS, ""
        case socket.gaierror():
            return Fault.UNKNOWN_NAME, ""
        case ConnectionRefusedError():
            return Fault.REFUSED, ""
        case OSError(errno=number) if number in _NO_ROUTE:
            return Fault.NO_ROUTE, os.strerror(number or 0)
        case _:
            return Fault.CUT, error.strerror or ""
