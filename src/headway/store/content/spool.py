"""Files read by offset: committed blobs, and spool files, which have no name and vanish with the process."""

from __future__ import annotations

import os
from pathlib import Path

from headway.errors import StoreCorruptError
from headway.store.failures import disk_errors


class OpenFile:
    """Implements `interfaces.content.BlobFile`.

    Args:
        descriptor: Open for reading; closed by `close`.
        name: For messages.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name

    def read_at(self, offset: int, length: int) -> bytes:
        """See `interfaces.content.BlobFile.read_at`."""
        with disk_errors(Path(self._name)):
            data = os.pread(self._descriptor, length, offset)
            while len(data) < length and (more := os.pread(self._descriptor, length - len(data), offset + len(data))):
                data += more
        if len(data) < length:
            raise StoreCorruptError(f"{self._name} ends {length - len(data)} bytes too early")
        return data

    def close(self) -> None:
        """See `interfaces.content.BlobFile.close`."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class SpoolFile(OpenFile):
    """Implements `interfaces.content.Spool`: a file that nobody else sees, and that is gone when this process dies.

    Args:
        directory: On the file system that it takes space of.

    Raises:
        StoreError: It cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        private = directory / os.urandom(8).hex()
        with disk_errors(private):
            descriptor = os.open(private, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            private.unlink()  # not O_TMPFILE: some file systems do not have it
        super().__init__(descriptor, str(directory))
        self._directory = directory

    def write(self, data: bytes) -> None:
        """See `interfaces.content.Spool.write`."""
        view = memoryview(data)
        with disk_errors(self._directory):
            while view:
                view = view[os.write(self._descriptor, view) :]
