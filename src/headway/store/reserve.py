"""A little room kept back, so that a full disk can be freed with Headway itself.

SQLite needs some pages to record that something is gone; without them, `rmi` on a full disk could only say that it is
full.

Rule 1: it is kept while there is plenty, and given up when a writer finds next to nothing.
Rule 2: it is a help, not a promise: what goes wrong with it is nobody's error.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from headway.errors import StoreError
from headway.store.space import space

RESERVE_BYTES = 256 * 1024
LOW_BYTES = 1 << 20
PLENTY_BYTES = 16 << 20


class Reserve:
    """The room kept back on one data root's file system; entered by a writer before it opens the database.

    Args:
        path: The file that takes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        with suppress(StoreError, OSError):
            free = space(self._path.parent).bytes
            if free < LOW_BYTES:
                self._path.unlink(missing_ok=True)
            elif free >= PLENTY_BYTES and not self._path.exists():
                self._keep()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing ends: it is kept for the next writer."""

    def _keep(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        finally:
            os.close(descriptor)
