"""Opens a data root for `headway check`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headway.composition.read_only import read_only
from headway.layers.recipes.tree_check import examine_tree
from headway.service.health.check import Checker
from headway.settings import Settings
from headway.store.content.blobs import FileBlobStore
from headway.store.recovery.inventory import SqliteInventory


@contextmanager
def checking(settings: Settings) -> Iterator[Checker]:
    """Open a data root to be checked; it needs no lock, and others may go on writing.

    Raises:
        StoreCorruptError: The database is lost or damaged: a writer's start rebuilds it.
        StoreError: It cannot be read.
    """
    with read_only(settings) as (root, database):
        yield Checker(SqliteInventory(root, database), FileBlobStore(root), examine_tree)
