"""Sends the body of a request, of any length and from any source, and gives up on silence only.

Rule 1: silence means that the other side acknowledges nothing more, not that the kernel accepts nothing more: on a link
        of 300 B/s its buffer lasts for minutes. The time limit of the answer begins once everything is acknowledged.
Rule 2: nothing here sends any part of a body again: some of it may have arrived.
"""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios
import time
from collections.abc import Callable, Iterator

import msgspec

PIECE_BYTES = 64 << 10
LOOK_SECONDS = 1.0
SILENCE_SECONDS = 10.0


class Body(msgspec.Struct, frozen=True):
    """The body of a request.

    Attributes:
        size: In bytes.
        read: Returns a part of it, by offset and length.
        progress: Called with the number of bytes handed to the kernel so far, in the thread that sends.
        allowance: How many bytes of bodies one connection may carry in all, this one included; None for any number.
        upload: Identifies the upload that it is a piece of; None for none. Pieces of one upload keep to one connection
            where they can: some registries forget an upload when its connection breaks, and then lose only that much.
    """

    size: int
    read: Callable[[int, int], bytes]
    progress: Callable[[int], None] = lambda _: None
    allowance: int | None = None
    upload: object = None

    @classmethod
    def of(cls, data: bytes) -> Body:
        """Return a body of bytes that are in memory."""
        return cls(len(data), lambda offset, length: data[offset : offset + length])

    def pieces(self) -> Iterator[bytes]:
        """Yield the body in pieces of at most `PIECE_BYTES`."""
        for offset in range(0, self.size, PIECE_BYTES):
            yield self.read(offset, min(PIECE_BYTES, self.size - offset))


class Transmission:
    """Sends over one connected socket.

    Args:
        sock: Plain or TLS, with a time-out of `LOOK_SECONDS` for each call.
        answer_seconds: How long an answer may take once everything is acknowledged.
        sent: Called with the number of bytes that were just handed to the kernel.
    """

    def __init__(
        self, sock: socket.socket, answer_seconds: float, sent: Callable[[int], None] = lambda _: None
    ) -> None:
        self._sock = sock
        self._sent = sent
        self._answer_seconds = answer_seconds
        self._handed_over = 0
        self._acknowledged = -_outstanding(sock)
        self._progress_at = time.monotonic()

    @property
    def is_acknowledged(self) -> bool:
        """Whether the other side, or a proxy in between, has acknowledged all that was sent."""
        return not _outstanding(self._sock)

    def send(self, body: Body) -> None:
        """Hand the whole body to the kernel.

        Raises:
            OSError: The connection is lost.
            TimeoutError: It is silent.
        """
        for piece in body.pieces():
            self._send(piece)
            body.progress(self._handed_over)

    def _send(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            try:
                count = self._sock.send(view)
            except TimeoutError:
                self._require_progress(SILENCE_SECONDS)
                continue
            self._handed_over += count
            self._sent(count)
            view = view[count:]

    def await_answer(self) -> None:
        """Wait until the first byte of an answer has arrived.

        Raises:
            TimeoutError: None arrived in time, and nothing more was acknowledged.
        """
        waiter = select.poll()
        waiter.register(self._sock, select.POLLIN)
        while not waiter.poll(LOOK_SECONDS * 1000):
            self._require_progress(self._answer_seconds if self.is_acknowledged else SILENCE_SECONDS)

    def _require_progress(self, seconds: float) -> None:
        now, acknowledged = time.monotonic(), self._handed_over - _outstanding(self._sock)
        if acknowledged > self._acknowledged:
            self._acknowledged, self._progress_at = acknowledged, now
        elif now - self._progress_at >= seconds:
            raise TimeoutError


def _outstanding(sock: socket.socket) -> int:
    """Return how many bytes the kernel has that the other side has not acknowledged (tcp(7), SIOCOUTQ)."""
    value = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    return int(struct.unpack("i", value)[0])
