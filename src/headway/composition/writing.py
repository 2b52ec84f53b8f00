"""Opens a data root for commands that change it, and puts right what a crash has left."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec

from headway.composition.boot import boot_id
from headway.composition.containers import LazyDrivers, finish_removals, put_mounts_right, rw_layers
from headway.composition.read_only import read_only
from headway.composition.reading import derived as derived_tree
from headway.errors import HeadwayError
from headway.oci.digest import ALGORITHMS, ChainID, DiffID
from headway.service.events.events import Events
from headway.service.stores import Stores
from headway.settings import Settings
from headway.store.containers.containers import SqliteContainerStore
from headway.store.containers.mounts import SqliteMountTable
from headway.store.content.blobs import FileBlobStore
from headway.store.content.ingests import FileIngestStore
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.distribution_metadata import SqliteDistributionMetadata
from headway.store.events import SqliteEventLog
from headway.store.failures import disk_errors
from headway.store.hosts import SqliteHostMemory
from headway.store.images import SqliteImageStore
from headway.store.lock import WriterLock
from headway.store.pulls import SqlitePullStore
from headway.store.recovery.mending import MendingLayerStore
from headway.store.recovery.rebuild import open_whole
from headway.store.recovery.recovery import Recovered, recover, take_up
from headway.store.references import SqliteReferenceStore
from headway.store.space.garbage import SqliteGarbage
from headway.store.space.imagined_garbage import ImaginedGarbage
from headway.store.space.leases import SqliteLeases
from headway.store.space.reserve import Reserve
from headway.store.traffic import SqliteTraffic
from headway.store.trees.layers import SqliteLayerStore
from headway.version import VERSION


@contextmanager
def writing(
    settings: Settings, tell: Callable[[str], None], *, socket: str = "", frees: bool = False
) -> Iterator[Stores]:
    """Open a data root for changes, as its only writer, and put right what a crash has left.

    Args:
        settings: Says where it is.
        tell: Called with a sentence for the user about anything that was lost.
        socket: Address at which this process will serve others, who find it in the lock; empty for none.
        frees: Whether this is to free room, and so may use the reserve; a process that serves others always may.

    Raises:
        StoreBusyError: Another process is writing.
        StoreReadOnlyError: It cannot be written.
        StoreError: It belongs to another engine, or the disk failed.
    """
    with _opened(settings, tell, socket, frees=frees or bool(socket)) as (_, _, _, stores):
        yield stores


@contextmanager
def pruning(settings: Settings, tell: Callable[[str], None]) -> Iterator[tuple[Stores, int]]:
    """Open a data root as `writing` does; also give how many bytes of litter and unneeded content this removed.

    Raises:
        StoreBusyError: Another process is writing.
        StoreError: As `writing`.
    """
    with _opened(settings, tell, frees=True) as (_, _, recovered, stores):
        yield stores, recovered.freed.disk_bytes + recovered.litter_bytes


def salvage_store(settings: Settings, tell: Callable[[str], None]) -> None:
    """Rebuild the records of a data root, from content alone where there is nothing else.

    Raises:
        StoreBusyError: Another process is writing.
        StoreError: As `writing`.
    """
    with _opened(settings, tell, from_nothing=True):
        pass


@contextmanager
def mending(
    settings: Settings, tell: Callable[[str], None], *, damaged: set[DiffID], derived: Iterable[ChainID]
) -> Iterator[tuple[Stores, MendingLayerStore]]:
    """Open a data root as `writing` does; damaged trees count as absent until they have been fetched again.

    Args:
        settings: Says where it is.
        tell: As for `writing`.
        damaged: Layers whose trees are damaged.
        derived: Chains whose derived trees are damaged.

    Raises:
        StoreBusyError: Another process is writing.
        StoreError: As `writing`.
    """
    with _opened(settings, tell) as (root, database, _, stores):
        layers = MendingLayerStore(root, database, derive=derived_tree, damaged=damaged, derived=derived)
        yield msgspec.structs.replace(stores, layers=layers), layers


@contextmanager
def _opened(
    settings: Settings,
    tell: Callable[[str], None],
    socket: str = "",
    *,
    frees: bool = False,
    from_nothing: bool = False,
) -> Iterator[tuple[DataRoot, Database, Recovered, Stores]]:
    root = DataRoot(settings.data_root)
    root.create()
    with (
        WriterLock(root.lock) as lock,
        Reserve(root.reserve, frees=frees) as reserve,
        open_whole(root, program=VERSION, tell=tell, from_nothing=from_nothing) as database,
    ):
        if socket:
            lock.announce(socket)
        leases = SqliteLeases(database)
        drivers = LazyDrivers(settings, root, database)
        stores = _stores(root, database, leases, partial(SqliteGarbage, reserve=reserve), drivers)
        root.make_directories()
        if from_nothing and not database.query("SELECT 1 FROM trees LIMIT 1"):
            from headway.composition.salvaging import salvage_content  # noqa: PLC0415  # hardly ever

            salvage_content(root, stores, tell)
        put_mounts_right(root, database, stores.layers, drivers)
        take_up(root, _layers(root, database), boot_id())
        recovered = recover(root, database, leases, stores.garbage)
        for lost in recovered.lost_images:
            names = ", ".join(lost.names) or "no name"
            tell(f"image {lost.image_id.short} ({names}) was damaged on disk and is gone; pull it again")
        finish_removals(stores)
        try:
            yield root, database, recovered, stores
        finally:
            _unmount(stores, tell)


def _unmount(stores: Stores, tell: Callable[[str], None]) -> None:
    try:
        stores.rw_layers.cleanup()
    except HeadwayError as error:  # the next start tries again
        tell(f"left mounted: {error}")


@contextmanager
def imagining(settings: Settings, *, held: Container[str] = ()) -> Iterator[Stores]:
    """Give stores over a copy of the records in memory, on which deleting and pruning show what they would do.

    It needs no lock, and no file is touched.

    Args:
        settings: Says where the data root is.
        held: `Leases.held` of the process that has it open for writing.

    Raises:
        StoreError: It cannot be read.
    """
    with read_only(settings) as (root, database), database.copy() as copy:
        leases = SqliteLeases(copy, held_beside=held)
        yield _stores(root, copy, leases, ImaginedGarbage, LazyDrivers(settings, root, copy))


@contextmanager
def aside(settings: Settings) -> Iterator[Stores]:
    """Give stores that read a data root which cannot be written; what is put there goes to a temporary directory.

    It needs no lock. It is for questions that fetch manifests and configs; layers cannot be unpacked there.

    Args:
        settings: Says where it is.

    Raises:
        StoreError: It cannot be read, or there is nowhere else to write.
    """
    import tempfile  # noqa: PLC0415  # it imports bz2 and lzma, and few commands need it

    with read_only(settings) as (root, database), database.copy() as copy, ExitStack() as ended:
        with disk_errors(tempfile.gettempdir()):
            beside = DataRoot(Path(ended.enter_context(tempfile.TemporaryDirectory(prefix="headway-"))))
        beside.make_directories()
        for ours, shown in ((root.ingests, beside.ingests), *((root.blobs / a, beside.blobs / a) for a in ALGORITHMS)):
            _show(ours, shown)
        yield _stores(beside, copy, SqliteLeases(copy), ImaginedGarbage, LazyDrivers(settings, root, copy))


def _show(ours: Path, shown: Path) -> None:
    """Link every entry of a directory into another one; a directory that is absent is empty."""
    with disk_errors(shown), suppress(FileNotFoundError):
        for path in ours.absolute().iterdir():
            (shown / path.name).symlink_to(path)


def _stores(
    root: DataRoot,
    database: Database,
    leases: SqliteLeases,
    garbage: Callable[..., SqliteGarbage],
    drivers: LazyDrivers,
) -> Stores:
    ingests = FileIngestStore(root, boot_id=boot_id())
    log = SqliteEventLog(database)
    layers = _layers(root, database)
    return Stores(
        blobs=FileBlobStore(root),
        ingests=ingests,
        layers=layers,
        images=SqliteImageStore(database),
        references=SqliteReferenceStore(database),
        containers=SqliteContainerStore(database),
        log=log,
        hosts=SqliteHostMemory(database),
        leases=leases,
        garbage=garbage(root, database, leases, discard=ingests.discard),
        rw_layers=rw_layers(root, database, layers, drivers),
        drivers=drivers,
        metadata=SqliteDistributionMetadata(database),
        mounts=SqliteMountTable(database),
        traffic=SqliteTraffic(database),
        pulls=SqlitePullStore(database),
        events=Events(log),
        transaction=database.transaction,
    )


def _layers(root: DataRoot, database: Database) -> SqliteLayerStore:
    return SqliteLayerStore(root, database, derive=derived_tree, boot_id=boot_id())
