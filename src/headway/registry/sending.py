"""A request's body on its way up: any length, from anywhere, and given up on silence only.

Rule 1: silence is when nothing more is acknowledged, not when the kernel takes nothing more: on a link of 300 B/s what
        it has taken lasts for minutes. The answer is not waited for before all of that is there.
Rule 2: nothing of a body is sent twice by itself: part of it may have come through.
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
    """What a request carries up.

    Attributes:
        size: In bytes.
        read: Returns some of it, by offset and length.
        progress: Told how many bytes have been handed over, in the thread that sends.
        allowance: How many bytes of bodies one connection may carry in all, this one included; None for any number.
        upload: What it is a part of: its parts keep to one connection where they can, for a registry that forgets an
            upload with the connection that breaks loses no more then than that one has carried.
    """

    size: int
    read: Callable[[int, int], bytes]
    progress: Callable[[int], None] = lambda _: None
    allowance: int | None = None
    upload: object = None

    @classmethod
    def of(cls, data: bytes) -> Body:
        """Return a body that is here already."""
        return cls(len(data), lambda offset, length: data[offset : offset + length])

    def pieces(self) -> Iterator[bytes]:
        """Yield it from the first byte on."""
        for offset in range(0, self.size, PIECE_BYTES):
            yield self.read(offset, min(PIECE_BYTES, self.size - offset))


class Transmission:
    """Sends over one connected socket.

    Args:
        sock: Plain or TLS; it waits no longer than `LOOK_SECONDS` for one call.
        answer_seconds: How long an answer may take once all is acknowledged.
        sent: Told how many more bytes have been handed over.
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
        """Whether the other side, or something in between, has all that was sent."""
        return not _outstanding(self._sock)

    def send(self, body: Body) -> None:
        """Hand all of a body over to the kernel.

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
        """Wait until something comes back.

        Raises:
            TimeoutError: Nothing came, and nothing more was acknowledged.
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
