"""Wrappers around the bytes of a layer in an archive: peek at them, spool them, lend them, digest them.

Rule: each is an `interfaces.files.TarSource` over another one. One thread at a time uses it; `Lent` suits any number.
"""

from __future__ import annotations

import hashlib
import threading

from headway.errors import DigestMismatchError
from headway.interfaces.content import Ingest, Spool
from headway.interfaces.files import TarSource
from headway.oci.digest import Digest

_HEAD = 512
_READ = 1 << 16


class Peeked:
    """A source whose first bytes can be looked at before they are read."""

    def __init__(self, source: TarSource) -> None:
        self._source = source
        self._head = b""

    def peek(self, length: int) -> bytes:
        """Return up to `length` of the bytes that come next."""
        while len(self._head) < length and (more := self._source.read(length - len(self._head))):
            self._head += more
        return self._head

    @property
    def is_tar(self) -> bool:
        """Whether it is certainly an uncompressed tar; some old tars have no mark of one."""
        return self.peek(_HEAD)[257:262] == b"ustar"

    def read(self, limit: int) -> bytes:
        """See `TarSource`."""
        if self._head:
            data, self._head = self._head[:limit], self._head[limit:]
            return data
        return self._source.read(limit)

    def rest(self) -> bytes:
        """Return everything that has not been read."""
        return b"".join(iter(lambda: self.read(_READ), b""))


class Aside:
    """A source that is spooled while it is read, so that it can be read once more."""

    def __init__(self, source: TarSource, spool: Spool) -> None:
        self._source = source
        self._spool = spool
        self._length = 0
        self._at: int | None = None

    def turn(self) -> None:
        """Start over, after everything was read."""
        self._at = 0

    def read(self, limit: int) -> bytes:
        """See `TarSource`."""
        if self._at is None:
            data = self._source.read(limit)
            self._spool.write(data)
            self._length += len(data)
            return data
        data = self._spool.read_at(self._at, min(limit, self._length - self._at))
        self._at += len(data)
        return data


class Lent:
    """A source that is taken back at the end of the block, from a thread that may still be reading ahead.

    A read that is under way is waited for. After that the lender can go on with the bytes that follow.
    """

    def __init__(self, source: TarSource) -> None:
        self._source = source
        self._reading = threading.Lock()
        self._is_back = False

    def __enter__(self) -> Lent:
        return self

    def __exit__(self, *_: object) -> None:
        with self._reading:
            self._is_back = True

    def read(self, limit: int) -> bytes:
        """See `TarSource`.

        Raises:
            InterruptedError: It was taken back.
        """
        with self._reading:
            if self._is_back:
                raise InterruptedError("the layer is not unpacked any more")
            return self._source.read(limit)


class Digested:
    """A source whose digest is computed while it is read; with an ingest, its bytes become a blob.

    Args:
        source: The blob.
        digest: The digest that it must have.
        ingest: Where to keep it; None to keep nothing.
    """

    def __init__(self, source: TarSource, digest: Digest, ingest: Ingest | None) -> None:
        self._source = source
        self.digest = digest
        self._ingest = ingest
        self._whole = hashlib.new(digest.algorithm)
        self._length = 0

    def __enter__(self) -> Digested:
        return self

    def __exit__(self, *_: object) -> None:
        if self._ingest is not None:
            self._ingest.discard()

    def read(self, limit: int) -> bytes:
        """See `TarSource`."""
        data = self._source.read(limit)
        self._whole.update(data)
        if self._ingest is not None:
            self._ingest.write_at(self._length, data)
        self._length += len(data)
        return data

    def finish(self) -> None:
        """Publish the blob if it is kept; called when everything was read.

        Raises:
            DigestMismatchError: The bytes have another digest.
            StoreError: The disk failed.
        """
        actual = f"{self.digest.algorithm}:{self._whole.hexdigest()}"
        if actual != self.digest:
            raise DigestMismatchError("a layer in the archive", self.digest, actual)
        if self._ingest is not None:
            ingest, self._ingest = self._ingest, None
            ingest.commit()
