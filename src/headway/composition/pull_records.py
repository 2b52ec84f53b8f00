"""The records of pulls below a data root, opened for questions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headway.interfaces.pulls import PullStore
from headway.settings import Settings
from headway.store.data_root import DataRoot
from headway.store.database import Database
from headway.store.pulls import SqlitePullStore
from headway.version import VERSION


@contextmanager
def pull_records(settings: Settings) -> Iterator[PullStore]:
    """Open them; it needs no lock, and a data root that does not exist yet has none.

    Raises:
        StoreError: They cannot be read.
    """
    root = DataRoot(settings.data_root)
    root.examine()
    with Database.open_readonly(root.database, program=VERSION) as database:
        yield SqlitePullStore(database)
