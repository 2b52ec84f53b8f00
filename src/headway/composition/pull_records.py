"""The records of pulls below a data root, opened for questions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headway.composition.read_only import read_only
from headway.interfaces.pulls import PullStore
from headway.settings import Settings
from headway.store.pulls import SqlitePullStore


@contextmanager
def pull_records(settings: Settings) -> Iterator[PullStore]:
    """Open them; it needs no lock, and a data root that does not exist yet has none.

    Raises:
        StoreError: They cannot be read.
    """
    with read_only(settings) as (_, database):
        yield SqlitePullStore(database)
