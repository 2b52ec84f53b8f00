"""Containers' read-write layers: a directory in ``rw/`` and a row.

Rule 1: a layer is published last: made in ``tmp/``, synced, renamed, the name synced, then its row. What has no row is
        not here.
Rule 2: a layer that is removed is marked first, then its directory is moved to ``tmp/`` and emptied, and its row goes
        last: whatever fails on the way can be tried again, by name or by the next start.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

import msgspec

from headway.container_records import Change, RwLayerRecord, RwPlace
from headway.errors import ConflictError, HeadwayError, NotFoundError, StoreError
from headway.interfaces.drivers import Drivers
from headway.interfaces.layers import LayerStore
from headway.oci.digest import ChainID
from headway.paths import is_file
from headway.records import Tree
from headway.store.containers import rw_rows
from headway.store.containers.rw_mounts import RwMounts
from headway.store.containers.rw_stacks import MakeInit, RwStacks
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.durable import fsync_directory, fsync_file
from headway.store.failures import disk_errors
from headway.store.removal import remove_tree, set_aside


class SqliteRwLayerStore:
    """`RwLayerStore` as directories in ``rw/`` and rows in the database.

    Args:
        root: The data root.
        database: Its database.
        layers: What the layers stand on.
        drivers: What makes and mounts them.
        make_init: See `MakeInit`.
        at: Is told each step by name before the next one begins; tests kill the process there.
    """

    def __init__(
        self,
        root: DataRoot,
        database: Database,
        layers: LayerStore,
        drivers: Drivers,
        make_init: MakeInit,
        *,
        at: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._root = root
        self._database = database
        self._layers = layers
        self._drivers = drivers
        self._make_init = make_init
        self._at = at
        self._stacks = RwStacks(root, layers, drivers, make_init)
        self._mounts = RwMounts(database, self._stacks)
        self._lock = Lock()
        self._removing: set[str] = set()  # by this process, now

    # --- making ---

    @contextmanager
    def prepare(
        self,
        chain_id: ChainID | None,
        *,
        init: bool = True,
        storage_opt: Mapping[str, str] | None = None,
        mount_label: str = "",
    ) -> Iterator[_Draft]:
        """Make a layer above a chain (None for no layers), to be published before the context ends.

        Where it is not, or its publishing is undone with the `Transaction` around it, nothing of it stays.

        Raises:
            NotFoundError: No such chain.
            UnsupportedError: A storage option that is unknown or not possible here.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """
        options = dict(storage_opt or {})
        trees = self._layers.trees(chain_id)
        driver = self._drivers.chosen()
        mount_id = os.urandom(32).hex()
        private = RwPlace(self._root.tmp / mount_id)
        try:
            with disk_errors(private.path):
                private.path.mkdir(mode=0o700)
            report = self._make_init(trees, private.init) if init else None
            self._at("the init layer is made")
            below = trees if report is None else [*trees, Tree(private.init, report)]
            driver.create(private, below, options)
            self._at("the layer is made")
            with disk_errors(private.path):
                _sync(private.path)  # here, for whoever publishes it holds the database
            self._at("the layer is synced")
            record = RwLayerRecord(
                name="",
                mount_id=mount_id,
                chain_id=chain_id,
                driver=driver.name,
                init_report=report,
                storage_opt=options,
                mount_label=mount_label,
            )
            yield _Draft(self, record)
        finally:
            # A row is the truth: publishing may have failed, or been rolled back with the transaction around it.
            if not rw_rows.is_here(self._database, mount_id):
                self._drop(mount_id)

    def publish(self, record: RwLayerRecord) -> SqliteRwLayer:
        """Move a prepared layer to where it stays, and record it; see `RwDraft`."""
        if rw_rows.find(self._database, record.name) is not None:
            raise ConflictError(f"mount already exists with name: {record.name}")
        with disk_errors(self._root.rw):
            os.rename(self._root.tmp / record.mount_id, self._stacks.place(record).path)
            fsync_directory(self._root.rw)
        self._at("the layer is renamed")
        with self._database.transaction():
            if record.chain_id is not None and not self._layers.has_chain(record.chain_id):
                raise NotFoundError("chain", record.chain_id, "it was removed meanwhile")
            rw_rows.insert(self._database, record)
            self._at("the layer is recorded")
        return self._layer(record)

    def _drop(self, mount_id: str) -> None:
        """Remove a layer that has no row, wherever it has got to; what fails is removed by the next start."""
        with suppress(StoreError, OSError):
            set_aside(self._root.rw / mount_id, self._root.tmp / mount_id)
        with suppress(StoreError):
            remove_tree(self._root.tmp / mount_id)

    # --- finding ---

    def get(self, name: str) -> SqliteRwLayer:
        """Return a layer."""
        return self._layer(rw_rows.get(self._database, name))

    def list(self) -> list[RwLayerRecord]:
        """Return all, by name."""
        return rw_rows.every(self._database)

    def _layer(self, record: RwLayerRecord) -> SqliteRwLayer:
        return SqliteRwLayer(record, self._database, self._stacks, self._mounts)

    def cleanup(self) -> None:
        """Unmount what this process has mounted and not unmounted; nothing else."""
        self._mounts.cleanup()

    # --- removing ---

    def release(self, name: str) -> None:
        """Remove a layer with everything in it, and let its chain go. Where that fails it can be tried again."""
        with self._lock:
            if name in self._removing:
                raise ConflictError(f"removal of {name} is already in progress")
            self._removing.add(name)
        try:
            record = self._mounts.end(name)
            self._at("the layer is marked")
            self._remove(record)
        finally:
            self._removing.discard(name)

    def _remove(self, record: RwLayerRecord) -> None:
        place = self._stacks.place(record)
        self._stacks.driver(record).unmount(place.merged)  # nothing, unless somebody's hands or a crash left it
        private = self._root.tmp / record.mount_id
        with disk_errors(place.path), suppress(FileNotFoundError):
            set_aside(place.path, private)
        self._at("the layer is moved away")
        remove_tree(private)
        self._at("the layer's files are gone")
        rw_rows.delete(self._database, record.name)
        self._at("the layer is forgotten")
        self._mounts.forget(record.name)

    # --- after a crash ---

    def recover(self, ours: Callable[[], set[str]]) -> None:
        """Make rows, directories and mounts agree; called with the writer lock held, before anything else.

        A layer whose removal had begun is removed. A mount that nobody was told of is undone; one that is in use all
        the same stays for the next start, with or without a row. A layer without a directory stays to be released.

        Args:
            ours: Returns every place where something of Headway's is mounted.

        Raises:
            StoreError: The disk failed.
        """
        records = self.list()
        with disk_errors(self._root.rw):
            strange = set(os.listdir(self._root.rw)) - {record.mount_id for record in records}
        if not records and not strange:
            return
        mounted = ours()
        for record in records:
            with suppress(HeadwayError):
                self._put_right(record, mounted)
        for name in strange:
            if os.path.realpath(RwPlace(self._root.rw / name).merged) not in mounted:
                self._drop(name)

    def _put_right(self, record: RwLayerRecord, mounted: set[str]) -> None:
        merged = self._stacks.place(record).merged
        if record.is_removing:
            self._remove(record)
        elif os.path.realpath(merged) in mounted and not rw_rows.is_kept_mounted(self._database, record.name):
            self._stacks.driver(record).unmount(merged)


class SqliteRwLayer:
    """`RwLayer` of a `SqliteRwLayerStore`."""

    def __init__(self, record: RwLayerRecord, database: Database, stacks: RwStacks, mounts: RwMounts) -> None:
        self.record = record
        self._database = database
        self._stacks = stacks
        self._mounts = mounts

    def mount(self) -> Path:
        """Mount it, or count one more user where it is mounted; return where."""
        return self._mounts.mount(self.record.name)

    def unmount(self) -> None:
        """Take back one `mount` of this process."""
        self._mounts.unmount(self.record.name)

    def changes(self, *, written: bool = False) -> list[Change]:
        """Return how it differs from what is below it, sorted by path.

        Raises:
            ConflictError: It is being removed.
            MountNotFoundError: It is gone.
            StoreError: The disk failed.
        """
        try:
            self._mounts.have_init(self.record.name)
            place, below = self._stacks.place(self.record), self._stacks.below(self.record)
            return self._stacks.driver(self.record).changes(place, below, written=written)
        finally:  # what was found while somebody removed it counts for nothing, be it an error or not
            if rw_rows.get(self._database, self.record.name).is_removing:
                raise ConflictError(f"{self.record.name} is being removed")

    def size(self) -> int:
        """Return its size as Docker counts it, in bytes."""
        self._mounts.have_init(self.record.name)
        place, below = self._stacks.place(self.record), self._stacks.below(self.record)
        return self._stacks.driver(self.record).size(place, below)

    def metadata(self) -> dict[str, str]:
        """Return ``GraphDriver.Data``."""
        place, below = self._stacks.place(self.record), self._stacks.below(self.record)
        return self._stacks.driver(self.record).metadata(place, below)


class _Draft:
    """`RwDraft` of a `SqliteRwLayerStore`."""

    def __init__(self, store: SqliteRwLayerStore, record: RwLayerRecord) -> None:
        self._store = store
        self._record = record

    def publish(self, name: str) -> SqliteRwLayer:
        """Make it the layer `name`."""
        return self._store.publish(msgspec.structs.replace(self._record, name=name))


def _sync(directory: Path) -> None:
    """Make a new layer's directories and the few files of its init layer survive a power cut."""
    for folder, directories, names in os.walk(directory):
        if folder == str(directory) and "merged" in directories:
            directories.remove("merged")  # a mount point, or a copy that its driver has synced
        for name in names:
            path = Path(folder, name)
            if is_file(path, follow=False):
                fsync_file(path)
        fsync_directory(folder)
