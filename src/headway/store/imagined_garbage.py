"""What would go, were it removed: for who asks before anything is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from headway.oci.digest import Digest
from headway.records import Freed
from headway.store.data_root import DataRoot
from headway.store.database import Database
from headway.store.garbage import SqliteGarbage
from headway.store.leases import SqliteLeases


class ImaginedGarbage(SqliteGarbage):
    """Garbage of a database that is a copy: what would go is found, and no file is touched.

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
        """Take note that these files are to be thought away."""
        root = self._root
        self._gone |= {root.trees / name for name in freed.directories}
        self._gone |= {root.recipes / name for name in freed.directories}
        self._gone |= {root.blob(digest) for digest in freed.blobs} | {root.ingest(digest) for digest in freed.ingests}

    def _names(self, directory: Path) -> set[str]:
        return {name for name in super()._names(directory) if directory / name not in self._gone}
