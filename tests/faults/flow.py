"""Moving bytes between non-blocking sockets at the pace and with the delay of a slow link.

Nothing is lost when a wait is cancelled: bytes leave the kernel only in a step that no await interrupts.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable

_PIECE = 256 * 1024
_DELAY_LINE = 16 * 1024 * 1024
_CREDIT_SECONDS = 0.05


async def ready(sock: socket.socket, *, to_write: bool = False) -> None:
    """Wait until `sock` can be read, or written."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    (loop.add_writer if to_write else loop.add_reader)(sock, wake)
    try:
        await future
    finally:
        (loop.remove_writer if to_write else loop.remove_reader)(sock)


async def send_all(sock: socket.socket, data: bytes) -> None:
    """Send all of `data`."""
    view = memoryview(data)
    while view:
        try:
            view = view[sock.send(view) :]
        except BlockingIOError:
            await ready(sock, to_write=True)


async def until_gone(sock: socket.socket) -> None:
    """Take what the peer sends, and drop it, until it goes away."""
    with contextlib.suppress(OSError):
        while True:
            try:
                if not sock.recv(_PIECE):
                    return
            except BlockingIOError:
                await ready(sock)


class Pace:
    """So many bytes a second, of whoever asks in turn.

    Who comes a little late catches up; who was idle for longer does not get that time back.
    """

    def __init__(self) -> None:
        self._free_at = 0.0

    async def turn(self, size: int, bytes_per_second: float) -> None:
        """Wait until `size` bytes more may have gone."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now - _CREDIT_SECONDS) + size / bytes_per_second
        await asyncio.sleep(max(0.0, self._free_at - now))


class Arrivals:
    """What comes from a socket, each piece some time after it was sent.

    Args:
        sock: Where from.
        latency: Returns that time in seconds, for a piece that is read now.
    """

    def __init__(self, sock: socket.socket, latency: Callable[[], float]) -> None:
        self._sock = sock
        self._latency = latency
        self._line: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._loop = asyncio.get_running_loop()

    async def next(self) -> bytes:
        """Return the next piece, nothing at the end.

        Raises:
            OSError: The peer reset the connection.
        """
        while True:
            while self._may_read() and self._read():
                pass
            wait = self._line[0][0] - self._loop.time() if self._line else None
            if wait is None:
                await ready(self._sock)
            elif wait <= 0:
                return self._take()
            elif self._may_read():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await ready(self._sock)
            else:
                await asyncio.sleep(wait)

    def _may_read(self) -> bool:
        """Tell whether to read ahead: only where a delay asks for it, lest the server send for nothing."""
        if not self._line:
            return True
        at_end = not self._line[-1][1]
        return not at_end and self._latency() > 0 and self._held < _DELAY_LINE

    def _read(self) -> bool:
        try:
            piece = self._sock.recv(_PIECE)
        except BlockingIOError:
            return False
        self._line.append((self._loop.time() + self._latency(), piece))
        self._held += len(piece)
        return True

    def _take(self) -> bytes:
        piece = self._line.popleft()[1]
        self._held -= len(piece)
        return piece
