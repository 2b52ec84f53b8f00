"""Read-write layers with records in memory and copied files; they pass the contract suite of those on disk."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from headway.container_records import Change, RwLayerRecord, RwPlace
from headway.errors import ConflictError, MountNotFoundError
from headway.interfaces.layers import LayerStore
from headway.layers.drivers.vfs import VfsDriver
from headway.layers.trees.init_layer import make_init_layer
from headway.oci.digest import ChainID
from headway.records import Tree
from headway.store.removal import remove_tree


class CopyingDrivers:
    """`Drivers` of which there is one, that copies."""

    def chosen(self) -> VfsDriver:
        return VfsDriver()

    def named(self, name: str) -> VfsDriver:
        assert name == VfsDriver.name
        return VfsDriver()


class MemoryRwLayerStore:
    """`RwLayerStore` over the chains of `layers`, with files below ``tmp`` and ``rw`` of `directory`."""

    def __init__(self, directory: Path, layers: LayerStore) -> None:
        self._directory = directory
        self._layers = layers
        self.records: dict[str, RwLayerRecord] = {}
        self.mounts: dict[str, int] = {}
        for name in ("tmp", "rw"):
            (directory / name).mkdir()

    @contextmanager
    def prepare(
        self,
        chain_id: ChainID | None,
        *,
        init: bool = True,
        storage_opt: Mapping[str, str] | None = None,
        mount_label: str = "",
    ) -> Iterator[MemoryDraft]:
        trees = self._layers.trees(chain_id)
        record = RwLayerRecord(
            name="",
            mount_id=secrets.token_hex(32),
            chain_id=chain_id,
            driver=VfsDriver.name,
            storage_opt=dict(storage_opt or {}),
            mount_label=mount_label,
        )
        place = RwPlace(self._directory / "tmp" / record.mount_id)
        place.path.mkdir()
        draft = MemoryDraft(self, record)
        try:
            report = make_init_layer(trees, place.init) if init else None
            draft.record = msgspec.structs.replace(record, init_report=report)
            VfsDriver().create(place, self.below(draft.record, place), record.storage_opt)
            yield draft
        except BaseException:
            self.records.pop(draft.record.name, None)
            self._drop(record.mount_id)
            raise
        if draft.record.name not in self.records:
            self._drop(record.mount_id)

    def _drop(self, mount_id: str) -> None:
        for part in ("tmp", "rw"):
            if (self._directory / part / mount_id).exists():
                remove_tree(self._directory / part / mount_id)

    def publish(self, record: RwLayerRecord) -> MemoryRwLayer:
        if record.name in self.records:
            raise ConflictError(f"mount already exists with name: {record.name}")
        (self._directory / "tmp" / record.mount_id).rename(self.place(record).path)
        self.records[record.name] = record
        return MemoryRwLayer(self, record)

    def place(self, record: RwLayerRecord) -> RwPlace:
        return RwPlace(self._directory / "rw" / record.mount_id)

    def below(self, record: RwLayerRecord, place: RwPlace) -> list[Tree]:
        trees = self._layers.trees(record.chain_id)
        return trees if record.init_report is None else [*trees, Tree(place.init, record.init_report)]

    def get(self, name: str) -> MemoryRwLayer:
        if name not in self.records:
            raise MountNotFoundError(name)
        return MemoryRwLayer(self, self.records[name])

    def list(self) -> list[RwLayerRecord]:
        return [self.records[name] for name in sorted(self.records)]

    def release(self, name: str) -> None:
        record = self.get(name).record
        if self.mounts.get(name):
            raise ConflictError(f"mount still active: {name}")
        self._drop(record.mount_id)
        del self.records[name]

    def cleanup(self) -> None:
        self.mounts.clear()


class MemoryDraft:
    """`RwDraft` of a `MemoryRwLayerStore`."""

    def __init__(self, store: MemoryRwLayerStore, record: RwLayerRecord) -> None:
        self._store = store
        self.record = record

    def publish(self, name: str) -> MemoryRwLayer:
        layer = self._store.publish(msgspec.structs.replace(self.record, name=name))
        self.record = layer.record
        return layer


class MemoryRwLayer:
    """`RwLayer` of a `MemoryRwLayerStore`."""

    def __init__(self, store: MemoryRwLayerStore, record: RwLayerRecord) -> None:
        self._store = store
        self.record = record

    def mount(self) -> Path:
        self._store.get(self.record.name)
        self._store.mounts[self.record.name] = self._store.mounts.get(self.record.name, 0) + 1
        return self._place.merged

    def unmount(self) -> None:
        if not self._store.mounts.get(self.record.name):
            raise ConflictError(f"not mounted: {self.record.name}")
        self._store.mounts[self.record.name] -= 1

    def changes(self, *, written: bool = False) -> list[Change]:
        return VfsDriver().changes(self._place, self._store.below(self.record, self._place))

    def size(self) -> int:
        return VfsDriver().size(self._place, self._store.below(self.record, self._place))

    def metadata(self) -> dict[str, str]:
        return {}

    @property
    def _place(self) -> RwPlace:
        return self._store.place(self.record)
