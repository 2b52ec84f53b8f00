"""Containers' read-write layers: a directory in ``rw/``, a row, and counts of who has them mounted.

Rule 1: a layer is published last: made in ``tmp/``, synced, renamed, the name synced, then its row. What has no row is
        not here.
Rule 2: a layer that is removed is marked first, then its directory is moved to ``tmp/`` and emptied, and its row goes
        last: whatever fails on the way can be tried again, by name or by the next start.
Rule 3: what is really mounted is known by the kernel, not by a count. Counts die with the process; what is to outlive
        it has a row in ``mounts``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import TypeAlias

import msgspec

from headway.errors import ConflictError, HeadwayError, MountNotFoundError, NotFoundError, StoreError
from headway.interfaces.drivers import Drivers, RwDriver
from headway.interfaces.layers import LayerStore
from headway.oci.digest import ChainID
from headway.records import Change, LayerReport, RwLayerRecord, RwPlace, Tree
from headway.store import rw_rows
from headway.store.data_root import DataRoot
from headway.store.database import Database
from headway.store.durable import fsync_directory, fsync_file
from headway.store.failures import disk_errors
from headway.store.removal import remove_tree

MakeInit: TypeAlias = Callable[[Sequence[Tree], Path], LayerReport]
"""Makes the init layer over some trees, bottom first, in a directory that is new."""


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
        self._lock = RLock()
        self._counts: Counter[str] = Counter()
        self._removing: set[str] = set()

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

        Where it is not, or an exception leaves the context, nothing of it stays.

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
            _sync(self._root.tmp / record.mount_id)
            self._at("the layer is synced")
            os.rename(self._root.tmp / record.mount_id, self.place(record).path)
            fsync_directory(self._root.rw)
        self._at("the layer is renamed")
        with self._database.transaction():
            if record.chain_id is not None and not self._layers.has_chain(record.chain_id):
                raise NotFoundError("chain", record.chain_id, "it was removed meanwhile")
            rw_rows.insert(self._database, record)
            self._at("the layer is recorded")
        return SqliteRwLayer(self, record)

    def _drop(self, mount_id: str) -> None:
        """Remove a layer that has no row, wherever it has got to; what fails is removed by the next start."""
        with suppress(StoreError, OSError):
            os.rename(self._root.rw / mount_id, self._root.tmp / mount_id)
        with suppress(StoreError):
            remove_tree(self._root.tmp / mount_id)

    # --- finding ---

    def get(self, name: str) -> SqliteRwLayer:
        """Return a layer.

        Raises:
            NotFoundError: ``mount does not exist``.
        """
        return SqliteRwLayer(self, self.record(name))

    def record(self, name: str) -> RwLayerRecord:
        """Return what is recorded of a layer now; raises as `get`."""
        record = rw_rows.find(self._database, name)
        if record is None:
            raise MountNotFoundError(name)
        return record

    def list(self) -> list[RwLayerRecord]:
        """Return all, by name."""
        return rw_rows.every(self._database)

    def place(self, record: RwLayerRecord) -> RwPlace:
        """Return where a layer lies."""
        return RwPlace(self._root.rw / record.mount_id)

    def below(self, record: RwLayerRecord) -> Sequence[Tree]:
        """Return the trees that a layer stands on, its init layer last.

        Raises:
            NotFoundError: Its chain is gone.
        """
        trees = self._layers.trees(record.chain_id)
        return trees if record.init_report is None else [*trees, Tree(self.place(record).init, record.init_report)]

    def driver(self, record: RwLayerRecord) -> RwDriver:
        """Return the driver that made a layer.

        Raises:
            UnsupportedError: This version has none of that name.
        """
        return self._drivers.named(record.driver)

    # --- mounting ---

    def mount(self, name: str) -> Path:
        """Mount a layer, or count one more user; see `RwLayer`."""
        with self._lock:
            record = self.record(name)
            if record.is_removing:
                raise ConflictError(f"{name} is being removed")
            place, driver = self.place(record), self.driver(record)
            if not driver.is_mounted(place.merged):
                driver.mount(self.below(record), place.merged, upper=place.upper, work=place.work)
            self._counts[name] += 1
            return place.merged

    def unmount(self, name: str) -> None:
        """Take back one `mount` of this process; see `RwLayer`."""
        with self._lock:
            if not self._counts[name]:
                raise ConflictError(f"not mounted: {name}")
            if self._counts[name] == 1 and not self._is_kept(name):
                record = self.record(name)
                self.driver(record).unmount(self.place(record).merged)
            self._counts[name] -= 1

    def _is_kept(self, name: str) -> bool:
        return bool(self._database.query("SELECT 1 FROM mounts WHERE rw_layer = ? LIMIT 1", (name,)))

    def cleanup(self) -> None:
        """Unmount what this process has mounted and not unmounted; nothing else.

        Raises:
            ConflictError: Something is in use; the others are unmounted all the same.
            StoreError: The kernel refused; the others are unmounted all the same.
        """
        failures: list[HeadwayError] = []
        with self._lock:
            for name in [name for name, count in self._counts.items() if count]:
                self._counts[name] = 1
                try:
                    self.unmount(name)
                except HeadwayError as error:
                    failures.append(error)
        if failures:
            for other in failures[1:]:
                failures[0].add_note(str(other))
            raise failures[0]

    # --- removing ---

    def release(self, name: str) -> None:
        """Remove a layer with everything in it, and let its chain go. Where that fails it can be tried again.

        Raises:
            NotFoundError: ``mount does not exist``.
            ConflictError: ``mount still active``.
            StoreError: The disk failed; the layer cannot be used any more, and is still there to be released.
        """
        with self._lock:
            record = self.record(name)
            if name in self._removing:
                raise ConflictError(f"removal of {name} is already in progress")
            if self._counts[name] or self._is_kept(name):
                raise ConflictError(f"mount still active: {name}")
            self._database.execute("UPDATE rw_layers SET is_removing = 1 WHERE name = ?", (name,))
            self._removing.add(name)
        try:
            self._at("the layer is marked")
            self._remove(record)
        finally:
            self._removing.discard(name)

    def _remove(self, record: RwLayerRecord) -> None:
        place = self.place(record)
        self.driver(record).unmount(place.merged)  # nothing, unless somebody's hands or a crash left it
        with disk_errors(place.path), suppress(FileNotFoundError):
            os.rename(place.path, self._root.tmp / record.mount_id)
        self._at("the layer is moved away")
        self._empty_tmp_of(record)
        self._at("the layer's files are gone")
        self._database.execute("DELETE FROM rw_layers WHERE name = ?", (record.name,))
        self._at("the layer is forgotten")
        del self._counts[record.name]

    def _empty_tmp_of(self, record: RwLayerRecord) -> None:
        """Remove a layer's files from ``tmp/``: those, and what an earlier attempt has left of them there."""
        with disk_errors(self._root.tmp):
            names = [name for name in os.listdir(self._root.tmp) if name.partition(".")[0] == record.mount_id]
        for name in names:
            remove_tree(self._root.tmp / name)

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
        merged = self.place(record).merged
        if record.is_removing:
            self._remove(record)
        elif os.path.realpath(merged) in mounted and not self._is_kept(record.name):
            self.driver(record).unmount(merged)


class SqliteRwLayer:
    """`RwLayer` of a `SqliteRwLayerStore`."""

    def __init__(self, store: SqliteRwLayerStore, record: RwLayerRecord) -> None:
        self.record = record
        self._store = store

    def mount(self) -> Path:
        """Mount it, or count one more user where it is mounted; return where."""
        return self._store.mount(self.record.name)

    def unmount(self) -> None:
        """Take back one `mount` of this process."""
        self._store.unmount(self.record.name)

    def changes(self, *, written: bool = False) -> list[Change]:
        """Return how it differs from what is below it, sorted by path.

        Raises:
            ConflictError: It is being removed.
            MountNotFoundError: It is gone.
            StoreError: The disk failed.
        """
        try:
            place, below = self._store.place(self.record), self._store.below(self.record)
            return self._store.driver(self.record).changes(place, below, written=written)
        finally:  # what was found while somebody removed it counts for nothing, be it an error or not
            if self._store.record(self.record.name).is_removing:
                raise ConflictError(f"{self.record.name} is being removed")

    def size(self) -> int:
        """Return its size as Docker counts it, in bytes."""
        place, below = self._store.place(self.record), self._store.below(self.record)
        return self._store.driver(self.record).size(place, below)

    def metadata(self) -> dict[str, str]:
        """Return ``GraphDriver.Data``."""
        place, below = self._store.place(self.record), self._store.below(self.record)
        return self._store.driver(self.record).metadata(place, below)


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
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                fsync_file(path)
        fsync_directory(folder)
