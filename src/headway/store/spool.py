"""Bytes that are put aside for a moment.

Rule: a spool has no name: it is gone when it is closed, and when the process dies.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from headway.store.failures import disk_errors


class FileSpool:
    """`interfaces.archives.Spool` as a file on the file system of a directory.

    Args:
        place: The directory.

    Raises:
        StoreError: From every method: the disk failed; `StoreFullError` where it has no space left.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        with disk_errors(place):
            self._file = tempfile.TemporaryFile(dir=place, buffering=0)  # noqa: SIM115  # it is one itself

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Append."""
        rest = memoryview(data)
        with disk_errors(self._place):
            while rest:
                rest = rest[os.write(self._file.fileno(), rest) :]

    def rewind(self) -> None:
        """Read from the beginning from now on."""
        with disk_errors(self._place):
            self._file.seek(0)

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, nothing at the end."""
        with disk_errors(self._place):
            return os.read(self._file.fileno(), limit)
