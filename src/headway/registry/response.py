"""Makes http.client's reading of answers stricter where it is more lenient than RFC 9112.

The head of an answer is its status line and its headers.

Rule 1: a head that was cut off is not an answer: a 401 without its challenge would look like a final refusal, and a
        Location or Content-Length that lacks its end would mean something else.
Rule 2: interim answers (RFC 9110, section 15.2) of any kind are skipped, up to a number.
Rule 3: a head has to be complete within a minute of its first byte, and so has the line in front of a chunk. Otherwise
        a server that sends a byte now and then, which is not silence, could hold a connection for ever.
"""

from __future__ import annotations

import http.client
import io
import re
import time

HEAD_SECONDS = 60.0  # at 300 B/s, 18 KiB
MAX_HEAD_BYTES = 1 << 20
MAX_INTERIM = 50  # a server that is busy for long may send one now and then
_MAX_CHUNK_LINE = 64 << 10
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_NAME = re.compile(rb"[!-9;-~]*")
_SWITCHING_PROTOCOLS = 101

http.client._MAXHEADERS = 1000  # type: ignore[attr-defined]  # noqa: SLF001  # some CDNs send more than the default 100


class SlowHeadError(TimeoutError):
    """A head arrives in small pieces for longer than `HEAD_SECONDS`."""


class _Lines:
    """Reads lines that must arrive in time, counted from the first byte; the connection's own limit is for silence."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._until: float | None = None

    def next(self, limit: int) -> bytes:
        line = b""
        while len(line) < limit and not line.endswith(b"\n"):
            arrived = self._file.peek(1)
            now = time.monotonic()
            self._until = self._until or now + HEAD_SECONDS
            if now > self._until:
                raise SlowHeadError
            if not arrived:
                break
            line += self._file.readline(min(len(arrived), limit - len(line)))
        return line

    def start_anew(self) -> None:
        self._until = None


class _Head:
    """Reads heads line by line, in place of the file that http.client would read."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._lines = _Lines(file)
        self.bytes = 0
        self._ends = 0
        self._is_status_next = True
        self.close = file.close

    def readline(self, limit: int) -> bytes:
        line = self._lines.next(limit)
        is_cut = len(line) < limit and not line.endswith(b"\n")
        if is_cut and (self.bytes or line.startswith(b"HTTP/")):
            raise http.client.IncompleteRead(line)
        self.bytes += len(line)
        is_status, self._is_status_next = self._is_status_next, line in (b"\r\n", b"\n")
        if self._is_status_next:
            self._ends += 1
            self._lines.start_anew()
        if self.bytes > MAX_HEAD_BYTES:
            raise http.client.HTTPException("headers that never end")
        if self._ends > MAX_INTERIM + 1:
            raise http.client.HTTPException("interim answers that never end")
        return line if is_status or self._is_status_next or not line else _field(line)


def _field(line: bytes) -> bytes:
    """Return a header line in a form that http.client does not take for the end of the headers (RFC 9112, 2.2 and 5.1).

    White space behind the value is removed: http.client does not know ``chunked`` with a blank.

    Raises:
        http.client.HTTPException: It is not a header; http.client would ignore all headers behind it.
    """
    line = line.removesuffix(b"\n").removesuffix(b"\r").replace(b"\r", b" ") + b"\r\n"
    if line.startswith((b" ", b"\t")):
        return line
    name, colon, value = line.partition(b":")
    name = name.rstrip()
    if not colon or _NAME.fullmatch(name) is None:
        raise http.client.HTTPException("a header that is none")
    return name + colon + value.rstrip(b" \t\r\n") + b"\r\n"


class Response(http.client.HTTPResponse):
    """An answer to one request.

    Attributes:
        head_bytes: Length of its head, interim answers included, in bytes.
    """

    head_bytes = 0

    def begin(self) -> None:
        """Read up to the body of the final answer.

        Raises:
            http.client.HTTPException: The head is cut off, never ends or is not HTTP, or the body has a transfer
                encoding other than ``chunked``.
            SlowHeadError: The head arrives too slowly.
        """
        file = self.fp
        self.fp = head = _Head(file)  # type: ignore[assignment]  # it has the methods of a file that begin() uses
        try:
            super().begin()
            while self.status < 200 and self.status != _SWITCHING_PROTOCOLS:
                self.headers = None  # type: ignore[assignment]  # otherwise begin() does nothing
                super().begin()
            if not self.chunked and self.headers.get("Transfer-Encoding", "identity").strip().lower() != "identity":
                raise http.client.HTTPException("a transfer encoding that nobody asked for")
        finally:
            self.head_bytes = head.bytes
            if self.fp is not None:  # http.client closes it when it is not HTTP
                self.fp = file

    def _read_next_chunk_size(self) -> int:
        """Read the line in front of a chunk; http.client itself would accept ``-5`` and ``1_0`` as sizes."""
        try:
            line = _Lines(self.fp).next(_MAX_CHUNK_LINE)
        except SlowHeadError:
            raise http.client.HTTPException("the size of a chunk that trickles") from None
        size = line.partition(b";")[0].strip()
        if not line.endswith(b"\n") and len(line) < _MAX_CHUNK_LINE:
            raise http.client.IncompleteRead(line)
        if _CHUNK_SIZE.fullmatch(size) is None:
            raise http.client.HTTPException("a chunk without a size")
        return int(size, 16)

    def _read_and_discard_trailer(self) -> None:
        """Read the line behind the last chunk; http.client itself would read trailers without a limit."""
        try:
            line = _Lines(self.fp).next(MAX_HEAD_BYTES)
        except SlowHeadError:
            line = b""
        if line not in (b"\r\n", b"\n"):
            self.will_close = True  # there are trailers: drop them with the connection
