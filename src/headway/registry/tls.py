"""TLS sockets that give up on silence only, and the TLS settings of this machine."""

from __future__ import annotations

import math
import select
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

T = TypeVar("T")
NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h), for an SSLContext.verify_flags
SILENCE_SECONDS = 9.0
HANDSHAKE_SECONDS = 120.0  # a handshake has several KiB, and several of them may share a link of 300 B/s


class HelloTimeoutError(TimeoutError):
    """The TLS hello got no answer, or not a whole one: the server may not speak TLS."""


class TlsSocket(ssl.SSLSocket):
    """A TLS socket that gives up on silence only.

    The time-out of `ssl.SSLSocket` is for whole records: on a link of 300 B/s a record of 16 KiB takes a minute, and
    would time out again and again. Here every piece of a record counts as a sign of life.
    """

    silence_seconds = SILENCE_SECONDS

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  # the standard library's signature
        """Shake hands, within `HANDSHAKE_SECONDS` in all, even if bytes keep coming."""
        del block
        self._patiently(super().do_handshake, seconds=HANDSHAKE_SECONDS)

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """Receive some bytes of the next record."""
        receive = super().recv_into
        return self._patiently(lambda: receive(buffer, nbytes, flags))

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send some of `data`."""
        send = super().send
        return self._patiently(lambda: send(data, flags))

    def _patiently(self, call: Callable[[], T], *, seconds: float = math.inf) -> T:
        until = time.monotonic() + seconds
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                event = select.POLLIN
            except ssl.SSLWantWriteError:
                event = select.POLLOUT
            waiter = select.poll()
            waiter.register(self, event)
            if not waiter.poll(self.silence_seconds * 1000) or time.monotonic() > until:
                raise TimeoutError


def tls_context(*, verify: bool) -> ssl.SSLContext:
    """Return TLS settings that verify certificates by the system's authorities, or that accept any certificate."""
    # Loading the system's authorities takes 50 ms, so it is left out where nothing is verified.
    context = ssl.create_default_context() if verify else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = TlsSocket
    # Private registries' CAs often lack the key usage extension that Python 3.13 began to demand; Docker accepts them.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
