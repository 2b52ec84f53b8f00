"""Committed blobs.

Rule: a file below ``blobs/`` is whole and durable: it was written and synced elsewhere, then renamed. Every read is
verified, so that damage on the disk is noticed where it matters.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from headway.errors import DAMAGED, DigestMismatchError, NotFoundError, StoreCorruptError
from headway.oci.digest import ALGORITHMS, Digest
from headway.paths import is_directory
from headway.store.content.spool import OpenFile
from headway.store.data_root import DataRoot, digests_of, names_in
from headway.store.durable import fsync_directory, write_new
from headway.store.failures import disk_errors
from headway.store.removal import move_out, remove_tree

_PIECE = 1 << 20


class FileBlobStore:
    """`BlobStore` as files ``blobs/<algorithm>/<hex>``. A data root that is absent reads as empty."""

    def __init__(self, root: DataRoot) -> None:
        self._root = root

    def size(self, digest: Digest) -> int | None:
        """Return the length of the blob in bytes; None where it is absent, or not a regular file."""
        with disk_errors(self._root.blobs):
            try:
                status = self._root.blob(digest).stat()
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ELOOP):
                    raise
                return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def read(self, digest: Digest) -> bytes:
        """Return the whole blob, verified."""
        return b"".join(self.pieces(digest))

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        """Yield the blob piece by piece; after the last piece its digest is verified."""
        with self._reading(digest) as path:
            file = os.fdopen(_regular(path, os.O_RDONLY | os.O_CLOEXEC), "rb", buffering=0)
        whole = hashlib.new(digest.algorithm)
        with file:
            while piece := self._next_piece(digest, file):
                whole.update(piece)
                yield piece
        if whole.hexdigest() != digest.hex:
            raise StoreCorruptError(f"{path} has digest {digest.algorithm}:{whole.hexdigest()}")

    def open(self, digest: Digest) -> OpenFile:
        """See `BlobStore.open`."""
        with self._reading(digest) as path:
            return OpenFile(_regular(path, os.O_RDONLY | os.O_CLOEXEC), str(path))

    def _next_piece(self, digest: Digest, file: BinaryIO) -> bytes:
        with self._reading(digest):
            return file.read(_PIECE)

    @contextmanager
    def _reading(self, digest: Digest) -> Iterator[Path]:
        """Give the path of a blob and translate errors: one that is there and cannot be read counts as damaged."""
        path = self._root.blob(digest)
        with disk_errors(path):
            try:
                yield path
            except FileNotFoundError:
                raise NotFoundError("blob", digest) from None
            except OSError as error:
                if error.errno not in DAMAGED:
                    raise
                raise StoreCorruptError(f"{path} cannot be read: {error.strerror}") from error

    def put(self, digest: Digest, data: bytes) -> None:
        """Publish `data` durably; an intact blob of that digest is left alone, anything else in its place replaced."""
        actual = Digest.of(data, digest.algorithm)
        if actual != digest:
            raise DigestMismatchError("blob", digest, actual)
        path = self._root.blob(digest)
        with disk_errors(path):
            if _holds(path, data):
                return
            if is_directory(path):
                self.delete(digest)
            private = self._root.private()
            try:
                write_new(private, data)
                private.rename(path)
            except BaseException:
                private.unlink(missing_ok=True)
                raise
            fsync_directory(path.parent)

    def delete(self, digest: Digest) -> None:
        """Remove the blob, or whatever else has its name; do nothing where there is neither."""
        path = self._root.blob(digest)
        with disk_errors(path):
            try:
                path.unlink(missing_ok=True)
            except IsADirectoryError:
                if (private := move_out(self._root, path)) is not None:
                    remove_tree(private)

    def walk(self) -> Iterator[Digest]:
        """Yield every committed digest, in no order."""
        for algorithm in ALGORITHMS:
            yield from digests_of(f"{algorithm}:{name}" for name in names_in(self._root.blobs / algorithm))


def _regular(path: str | Path, flags: int) -> int:
    """Open a regular file; anything else is damage, and must not block (a FIFO would).

    Raises:
        StoreCorruptError: It is not a regular file.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StoreCorruptError(f"{path} is no file")
    return descriptor


def _content(path: Path) -> bytes:
    with open(path, "rb", opener=_regular) as file:
        return file.read()


def _holds(path: Path, data: bytes) -> bool:
    """Tell whether the file has exactly this content: a damaged blob must not keep a good one out."""
    try:
        return _content(path) == data
    except (FileNotFoundError, StoreCorruptError):
        return False
    except OSError as error:
        if error.errno not in DAMAGED:
            raise
        return False
