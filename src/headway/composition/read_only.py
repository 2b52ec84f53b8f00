"""Opens a data root and its database for reading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headway.settings import Settings
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.version import VERSION


@contextmanager
def read_only(settings: Settings) -> Iterator[tuple[DataRoot, Database]]:
    """Open the data root that settings name; it needs no lock, and one that does not exist yet is empty.

    Raises:
        InvalidSettingError: The directory holds something else.
        StoreCorruptError: The database is lost or damaged: a writer's start rebuilds it.
        StoreError: It cannot be read.
    """
    root = DataRoot(settings.data_root)
    root.examine()
    with Database.open_readonly(root.database, program=VERSION) as database:
        yield root, database
