"""Connects to the first of a host's addresses that answers (a short form of RFC 8305, "Happy Eyeballs").

Rule: the next address is tried once the one before has failed, or has been silent for a quarter of a second.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import msgspec

NEXT_SECONDS = 0.25
NO_ROUTE = frozenset(
    (
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.ENONET,
    )
)
"""Errors that mean that this machine has no route to an address."""


class _Runner(msgspec.Struct, frozen=True):
    sock: socket.socket
    address: str
    until: float


class Race:
    """Connects once; another thread may end it.

    Args:
        addresses: Literal addresses, in the order in which to try them.
        port: TCP port.
        seconds: How long each may be silent.
        segment_bytes: The largest segment to ask the other side for; 0 leaves that to the system.
    """

    def __init__(self, addresses: Sequence[str], port: int, *, seconds: float, segment_bytes: int = 0) -> None:
        self._waiting = deque(addresses)
        self._port = port
        self._seconds = seconds
        self._segment_bytes = segment_bytes
        self._running: dict[int, _Runner] = {}
        self._poll = select.poll()
        self._next_at = 0.0
        self._failure: OSError = _error(errno.EHOSTUNREACH)
        self._ended = False

    def run(self) -> tuple[socket.socket, str]:
        """Return the connection and its address.

        Raises:
            OSError: No address answers; the error is that of the last one to fail among those with a route.
        """
        try:
            while True:
                self._require_not_ended()
                self._start_next()
                if not self._running:
                    raise self._failure
                if (winner := self._watch()) is not None:
                    return winner.sock, winner.address
        finally:
            for runner in self._running.values():
                runner.sock.close()

    def abort(self) -> None:
        """Make `run` end soon; it may run in another thread."""
        self._ended = True
        for runner in list(self._running.values()):
            with suppress(OSError):
                runner.sock.shutdown(socket.SHUT_RDWR)

    def _require_not_ended(self) -> None:
        if self._ended:
            raise ConnectionAbortedError("aborted")

    def _start_next(self) -> None:
        """Start every address whose turn it is."""
        while self._waiting and (not self._running or time.monotonic() >= self._next_at):
            address = self._waiting.popleft()
            try:
                self._start(address)
            except OSError as error:
                self._note(error)

    def _start(self, address: str) -> None:
        family, kind, protocol, _, name = socket.getaddrinfo(
            address, self._port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )[0]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)  # noqa: FBT003  # the standard library's signature
            if self._segment_bytes:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, self._segment_bytes)
            # It stands among the runners before it is connected, where abort() finds it.
            self._running[sock.fileno()] = _Runner(sock, address, time.monotonic() + self._seconds)
            code = sock.connect_ex(name)
            if code not in (0, errno.EINPROGRESS):
                raise _error(code)
            self._poll.register(sock, select.POLLOUT)
            self._next_at = time.monotonic() + NEXT_SECONDS
            self._require_not_ended()
        except OSError:
            self._running.pop(sock.fileno(), None)
            sock.close()
            raise

    def _watch(self) -> _Runner | None:
        """Wait for the next event; return a socket that has connected."""
        now = time.monotonic()
        due = [runner.until for runner in self._running.values()] + ([self._next_at] if self._waiting else [])
        for descriptor, _ in self._poll.poll(max(0.0, min(due) - now) * 1000 + 1):
            runner = self._running[descriptor]
            code = runner.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._require_not_ended()
            if code == 0:
                return self._running.pop(descriptor)
            self._drop(descriptor, _error(code))
        now = time.monotonic()
        for descriptor in [each for each, runner in self._running.items() if runner.until <= now]:
            self._drop(descriptor, TimeoutError())
        return None

    def _note(self, failure: OSError) -> None:
        """Keep the most telling error: without IPv6 here, a closed port must not look like a network that is down."""
        if failure.errno not in NO_ROUTE or self._failure.errno in NO_ROUTE:
            self._failure = failure

    def _drop(self, descriptor: int, failure: OSError) -> None:
        self._note(failure)
        self._poll.unregister(descriptor)
        self._running.pop(descriptor).sock.close()
        self._next_at = 0.0  # the next one need not wait for its turn


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
