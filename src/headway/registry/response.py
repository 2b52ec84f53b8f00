"""The answers of http.client, held to RFC 9112 where it is lenient: a head that is whole, and that has an end.

Rule 1: a head that was cut is no answer: a 401 without its challenge would say that we may not, and a Location or a
        Content-Length of which the end is missing would mean something else.
Rule 2: interim answers (RFC 9110, section 15.2) are passed over, whichever they are, and there are only so many.
"""

from __future__ import annotations

import http.client
import io

MAX_HEAD_BYTES = 1 << 20
MAX_INTERIM = 50  # a server that is busy for long may say so now and then
_SWITCHING_PROTOCOLS = 101

http.client._MAXHEADERS = 1000  # type: ignore[attr-defined]  # noqa: SLF001  # some CDNs send more than the default 100


class _Head:
    """What stands in front of a body, line by line; to http.client it is the file that it reads."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._bytes = 0
        self._ends = 0
        self.close = file.close

    def readline(self, limit: int) -> bytes:
        line = self._file.readline(limit)
        is_cut = len(line) < limit and not line.endswith(b"\n")
        if is_cut and (self._bytes or line.startswith(b"HTTP/")):
            raise http.client.IncompleteRead(line)
        self._bytes += len(line)
        self._ends += line in (b"\r\n", b"\n")
        if self._bytes > MAX_HEAD_BYTES:
            raise http.client.HTTPException("headers that never end")
        if self._ends > MAX_INTERIM + 1:
            raise http.client.HTTPException("interim answers that never end")
        return line


class Response(http.client.HTTPResponse):
    """An answer to one request."""

    def begin(self) -> None:
        """Read up to the body of the final answer.

        Raises:
            http.client.HTTPException: It is cut, never ends, or is no answer.
        """
        file = self.fp
        self.fp = _Head(file)  # type: ignore[assignment]  # it has of a file what begin() asks for
        try:
            super().begin()
            while self.status < 200 and self.status != _SWITCHING_PROTOCOLS:
                self.headers = None  # type: ignore[assignment]  # so that it begins once more
                super().begin()
        finally:
            if self.fp is not None:  # what is no answer, http.client has closed already
                self.fp = file

    def _read_and_discard_trailer(self) -> None:
        """Read what follows the last chunk (http.client would go on for as long as there is more of it)."""
        if self.fp.readline(MAX_HEAD_BYTES) not in (b"\r\n", b"\n"):
            self.will_close = True  # nobody wants to know
