"""Sends one HTTP request to a daemon, on its own connection: a unix socket, or TCP with or without TLS."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from headway import wire
from headway.engine.listeners import Address
from headway.errors import HeadwayError, InvalidSettingError, NoDaemonError, RequestError

_CONNECT_SECONDS = 10.0
_PIECE = 1 << 20
_TLS = "it speaks TLS: let HEADWAY_CERT_PATH name the directory with ca.pem, cert.pem and key.pem"
_HUNG_UP = (ssl.SSLEOFError, ssl.SSLZeroReturnError)  # who does so has not said why
_NO_TLS = "it speaks no TLS, and HEADWAY_CERT_PATH or DOCKER_CERT_PATH asks for it"


class _Refusal(msgspec.Struct, frozen=True):
    """The JSON body of an error."""

    message: str
    error: HeadwayError | None = None


class Connection(http.client.HTTPConnection):
    """A connection to a daemon.

    Args:
        address: Where it listens.
        certificates: A directory with ``ca.pem``, ``cert.pem`` and ``key.pem``; None for no TLS.
        seconds: How long it may take to connect, and be silent after that; None lets it be silent for ever, since a
            pull is silent for as long as its link is.
    """

    def __init__(self, address: Address, certificates: Path | None = None, *, seconds: float | None = None) -> None:
        super().__init__(address.host or "localhost", address.port or None)
        self._address = address
        self._certificates = certificates
        self._seconds = seconds
        self._connect_seconds = _CONNECT_SECONDS if seconds is None else seconds

    def connect(self) -> None:
        """Connect, with TLS if there are certificates.

        Raises:
            NoDaemonError: Nobody answers.
        """
        try:
            self.sock = self._connected()
        except ssl.SSLError as error:
            is_plain = error.reason == "WRONG_VERSION_NUMBER"
            refused = not is_plain and not isinstance(error, _HUNG_UP)
            raise NoDaemonError(str(self._address), _NO_TLS if is_plain else str(error), tls=refused) from None
        except OSError as error:
            forbidden = isinstance(error, PermissionError)
            raise NoDaemonError(str(self._address), error.strerror or str(error), forbidden=forbidden) from None
        self.sock.settimeout(self._seconds)

    def _connected(self) -> socket.socket:
        if self._address.kind == "unix":
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(self._connect_seconds)
            try:
                sock.connect(self._address.path)
            except OSError:
                sock.close()
                raise
            return sock
        raw = socket.create_connection((self.host, self.port), self._connect_seconds)
        if self._certificates is None:
            return raw
        return _context(self._certificates).wrap_socket(raw, server_hostname=self.host)

    def answer_to(
        self, method: str, target: str, body: bytes | Iterator[bytes] | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        """Send a request and return any answer; a server that refuses may answer before it has read everything."""
        with suppress(BrokenPipeError, ConnectionResetError, *_HUNG_UP):
            self.request(method, target, body, headers)
        return self.getresponse()

    def ask(
        self, method: str, target: str, body: bytes | Iterator[bytes] | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        """Send a request and return its answer once the headers are here.

        Raises:
            NoDaemonError: Nobody answers there, or a server that is not Headway.
            HeadwayError: The error that the daemon answered.
        """
        try:
            response = self.answer_to(method, target, body, {"User-Agent": wire.USER_AGENT, **headers})
        except (OSError, http.client.HTTPException) as error:
            is_silent = isinstance(error, TimeoutError)  # what speaks TLS answers something, or closes
            if not is_silent and self._should_speak_tls():
                raise NoDaemonError(str(self._address), _TLS, tls=True) from None
            raise not_answered(self._address, error) from None
        if not is_headway(response):
            raise NoDaemonError(str(self._address), "what answers there is not Headway")
        if response.status >= 400:
            raise _failure(response)
        return response

    def _should_speak_tls(self) -> bool:
        """Find out whether missing TLS is why it does not answer: a TLS server does not explain that in plain HTTP."""
        if self._address.kind != "tcp" or self._certificates is not None:
            return False
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # nothing is told there, nor believed
        context.verify_mode = ssl.CERT_NONE
        try:
            with socket.create_connection((self.host, self.port), _CONNECT_SECONDS) as raw, context.wrap_socket(raw):
                return True
        except ssl.SSLError as error:
            return "ALERT" in (error.reason or "")  # it wants a certificate, say
        except OSError:
            return False


def not_answered(address: Address, error: OSError | http.client.HTTPException) -> NoDaemonError:
    """Return why a request has no answer; in TLS 1.3 a server checks our certificate only after the handshake."""
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        return NoDaemonError(str(address), str(error), tls=True)
    return NoDaemonError(str(address), f"the connection was lost ({error})")


def is_headway(response: http.client.HTTPResponse) -> bool:
    """Tell whether Headway answered."""
    return (response.getheader("Server") or "").startswith("Headway/")


@contextmanager
def understood(address: Address) -> Iterator[None]:
    """Decode a daemon's answer.

    Raises:
        NoDaemonError: A daemon of another version answered: Headway's own routes may differ between versions.
    """
    try:
        yield
    except msgspec.MsgspecError as error:
        raise NoDaemonError(str(address), f"what it says is another version of Headway's ({error})") from None


def lines_of(response: http.client.HTTPResponse, address: Address) -> Iterator[bytes]:
    """Yield the lines of an answer as they arrive; raise as `pieces_of`."""
    yield from _until_lost(response, address)


def pieces_of(response: http.client.HTTPResponse, address: Address) -> Iterator[bytes]:
    """Yield an answer piece by piece.

    Raises:
        NoDaemonError: The connection was lost before its end.
    """
    yield from _until_lost(iter(lambda: response.read1(_PIECE), b""), address)


def _until_lost(answer: Iterable[bytes], address: Address) -> Iterator[bytes]:
    try:
        yield from answer
    except (OSError, http.client.HTTPException) as error:
        raise NoDaemonError(str(address), f"the connection was lost ({error})") from None


def _failure(response: http.client.HTTPResponse) -> HeadwayError:
    with suppress(msgspec.MsgspecError, OSError, http.client.HTTPException):  # it may end in the middle of saying why
        refusal = wire.decode(response.read(), _Refusal)
        return refusal.error or RequestError(refusal.message)
    return RequestError(f"the daemon answers HTTP {response.status}")


def _context(certificates: Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(certificates / "ca.pem")
        if (certificates / "cert.pem").exists():
            context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    except (OSError, ssl.SSLError) as error:
        raise InvalidSettingError(f"cannot use the certificates in {certificates}: {error}") from None
    return context
