"""Garbage collection on a copy of the records, which shows what a removal would free and removes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from headway.oci.digest import Digest
from headway.records import Freed
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.space.garbage import SqliteGarbage
from headway.store.space.leases import SqliteLeases


class ImaginedGarbage(SqliteGarbage):
    """Collects garbage in a copy of a database, and leaves every file where it is.

    Args:
        root: The data root.
        database: A copy of its database.
        leases: The leases of that copy.
        discard: Not called.
    """

    def __init__(
        self, root: DataRoot, database: Database, leases: SqliteLeases, *, discard: Callable[[Digest], None]
    ) -> None:
        super().__init__(root, database, leases, discard=discard)
        self._gone: set[Path] = set()

    def sweep(self, freed: Freed) -> None:
        """Remember these files as removed."""
        root = self._root
        self._gone |= {root.trees / name for name in freed.directories}
        self._gone |= {root.recipes / name for name in freed.directories}
        self._gone |= {root.blob(digest) for digest in freed.blobs} | {root.ingest(digest) for digest in freed.ingests}

    def _names(self, directory: Path) -> set[str]:
        return {name for name in super()._names(directory) if directory / name not in self._gone}
