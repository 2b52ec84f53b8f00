"""Opens a data root for commands that only read, such as `headway images`.

Rule: nothing is imported here that only writers need; `headway images` may take 100 ms of CPU, Python's start included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headway.composition.read_only import read_only
from headway.records import LayerReport, Tree
from headway.service.stores import Records
from headway.settings import Settings
from headway.store.containers.containers import SqliteContainerStore
from headway.store.content.blobs import FileBlobStore
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.events import SqliteEventLog
from headway.store.hosts import SqliteHostMemory
from headway.store.images import SqliteImageStore
from headway.store.references import SqliteReferenceStore
from headway.store.trees.layers import SqliteLayerStore

if TYPE_CHECKING:
    from headway.interfaces.pulls import PullStore
    from headway.interfaces.traffic import TrafficRow


@contextmanager
def reading(settings: Settings) -> Iterator[Records]:
    """Open a data root for reading; it needs no lock, and one that does not exist yet is empty.

    Raises:
        StoreError: It cannot be read.
    """
    with read_only(settings) as (root, database):
        yield records_of(root, database)


def traffic_of(settings: Settings, since: str, until: str) -> Sequence[TrafficRow]:
    """Return the bytes that crossed the network from one day to another; see `TrafficStore.days`.

    Raises:
        StoreError: It cannot be read.
    """
    with read_only(settings) as (_, database):
        from headway.store.traffic import SqliteTraffic  # noqa: PLC0415  # only `headway traffic` needs it

        return SqliteTraffic(database).days(since, until)


@contextmanager
def pull_records(settings: Settings) -> Iterator[PullStore]:
    """Open the records of pulls for reading.

    Raises:
        StoreError: They cannot be read.
    """
    with read_only(settings) as (_, database):
        from headway.store.pulls import SqlitePullStore  # noqa: PLC0415  # only `headway pulls` needs it

        yield SqlitePullStore(database)


def records_of(root: DataRoot, database: Database) -> Records:
    """Return the stores that can be read without a lock."""
    return Records(
        blobs=FileBlobStore(root),
        layers=SqliteLayerStore(root, database, derive=derived),
        images=SqliteImageStore(database),
        references=SqliteReferenceStore(database),
        containers=SqliteContainerStore(database),
        log=SqliteEventLog(database),
        hosts=SqliteHostMemory(database),
    )


def derived(lower: Sequence[Tree], raw: Tree, target: Path) -> LayerReport:
    """See `headway.layers.trees.derive.derive_tree`."""
    from headway.layers.trees.derive import derive_tree  # noqa: PLC0415  # few layers need it, and lists must start fast

    return derive_tree(lower, raw, target)
