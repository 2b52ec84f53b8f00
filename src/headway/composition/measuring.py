"""What lies below a data root, opened to be measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headway.composition.reading import records_of
from headway.interfaces.usage import DiskUsage
from headway.service.stores import Records
from headway.settings import Settings
from headway.store.data_root import DataRoot
from headway.store.database import Database
from headway.store.usage import SqliteUsage
from headway.version import VERSION


@contextmanager
def measuring(settings: Settings) -> Iterator[tuple[Records, DiskUsage]]:
    """Open a data root for questions about images and about what they take up; it needs no lock.

    Raises:
        StoreError: It cannot be read.
    """
    root = DataRoot(settings.data_root)
    root.examine()
    with Database.open_readonly(root.database, program=VERSION) as database:
        yield records_of(root, database), SqliteUsage(root, database)
