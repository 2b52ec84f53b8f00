"""The answers of http.client, held to RFC 9112 where it is lenient: a head that is whole, and that has an end.

Rule 1: a head that was cut is no answer: a 401 without its challenge would say that we may not, and a Location or a
        Content-Length of which the end is missing would mean something else.
Rule 2: interim answers (RFC 9110, section 15.2) are passed over, whichever they are, and there are only so many.
Rule 3: a head has a minute from its first byte, and so has a line between chunks: a byte now and then is not silence,
        and would hold a connection for as long as the other side likes.
"""

from __future__ import annotations

import http.client
import io
import re
import time

HEAD_SECONDS = 60.0  # at 300 B/s, 18 KiB
MAX_HEAD_BYTES = 1 << 20
MAX_INTERIM = 50  # a server that is busy for long may say so now and then
_MAX_CHUNK_LINE = 64 << 10
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_NAME = re.compile(rb"[!-9;-~]*")
_SWITCHING_PROTOCOLS = 101

http.client._MAXHEADERS = 1000  # type: ignore[attr-defined]  # noqa: SLF001  # some CDNs send more than the default 100


class SlowHeadError(TimeoutError):
    """A head comes in small pieces for longer than anybody waits."""


class _Lines:
    """Lines that must come in time, counted from the first byte; the connection's own limit is for silence."""

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
    """What stands in front of a body, line by line; to http.client it is the file that it reads."""

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
    """Return a line of headers so that http.client does not take it for the end of them all (RFC 9112, 2.2 and 5.1).

    White space behind the value is none of it: ``chunked`` with a blank would be no encoding that http.client knows.

    Raises:
        http.client.HTTPException: It is none; Content-Length and what else comes behind it would be lost.
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
        head_bytes: What came before its body, interim answers included.
    """

    head_bytes = 0

    def begin(self) -> None:
        """Read up to the body of the final answer.

        Raises:
            http.client.HTTPException: It is cut, never ends, or is no answer, or the body is encoded in some other way
                than in chunks.
            SlowHeadError: It comes too slowly.
        """
        file = self.fp
        self.fp = head = _Head(file)  # type: ignore[assignment]  # it has of a file what begin() asks for
        try:
            super().begin()
            while self.status < 200 and self.status != _SWITCHING_PROTOCOLS:
                self.headers = None  # type: ignore[assignment]  # so that it begins once more
                super().begin()
            if not self.chunked and self.headers.get("Transfer-Encoding", "identity").strip().lower() != "identity":
                raise http.client.HTTPException("a transfer encoding that nobody asked for")
        finally:
            self.head_bytes = head.bytes
            if self.fp is not None:  # what is no answer, http.client has closed already
                self.fp = file

    def _read_next_chunk_size(self) -> int:
        """Read the line in front of a chunk; http.client would take ``-5`` and ``1_0`` for sizes."""
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
        """Read what follows the last chunk (http.client would go on for as long as there is more of it)."""
        try:
            line = _Lines(self.fp).next(MAX_HEAD_BYTES)
        except SlowHeadError:
            line = b""
        if line not in (b"\r\n", b"\n"):
            self.will_close = True  # nobody wants to know
