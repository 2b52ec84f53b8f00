"""A little room kept back, so that a full disk can be freed with Headway itself.

SQLite needs some pages to record that something is gone; without them, `rmi` on a full disk could only say that it is
full.

Rule 1: it is kept while there is plenty, and given up, where there is next to nothing, to those alone who free more: a
        pull that is refused would fill it with what it has asked.
Rule 2: it is a help, not a promise: what goes wrong with it is nobody's error.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from headway.errors import StoreError
from headway.paths import is_there
from headway.store.space.free_space import space

RESERVE_BYTES = 256 * 1024
LOW_BYTES = 1 << 20
PLENTY_BYTES = 16 << 20


class Reserve:
    """The room kept back on one data root's file system; entered by a writer before it opens the database.

    Args:
        path: The file that takes it.
        frees: Whether this writer is there to free room: opening the database takes some.
    """

    def __init__(self, path: Path, *, frees: bool) -> None:
        self._path = path
        self._frees = frees

    def __enter__(self) -> Self:
        if self._frees:
            self.give_up()
        self.renew()
        return self

    def give_up(self) -> None:
        """Remove the reserve where next to nothing is free: recording a removal takes room before it frees some."""
        with suppress(StoreError, OSError):
            if space(self._path.parent).bytes < LOW_BYTES:
                self._path.unlink(missing_ok=True)

    def renew(self) -> None:
        """Make the reserve again where it is gone and there is plenty of room."""
        with suppress(StoreError, OSError):
            if not is_there(self._path) and space(self._path.parent).bytes >= PLENTY_BYTES:
                self._keep()

    def __exit__(self, *_: object) -> None:
        """Do nothing: the reserve is for the next writer, too."""

    def _keep(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        finally:
            os.close(descriptor)
