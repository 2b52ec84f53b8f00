"""Mounting images and containers for whoever asks, to stay until they are given back or the machine restarts.

Rule 1: a mount's record is there as long as it is (`MountTable`): what is mounted keeps its layers, and what a crash
        has left without a record is undone by the next start.
Rule 2: mounts are counted by place: one that was asked for twice is there until it was given back twice.
Rule 3: one at a time is mounted or given back: what is counted, recorded and mounted is one step for everybody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

import msgspec

from headway.container_records import ContainerRecord, KeptMount
from headway.errors import (
    ConflictError,
    HeadwayError,
    NotFoundError,
    NotMountedError,
    UnsupportedError,
)
from headway.interfaces.rw_layers import MountPoints, RwLayer
from headway.oci.digest import ChainID, ImageID
from headway.oci.run_config import container_config
from headway.records import ImageRecord
from headway.service.containers.containers import Containers
from headway.service.containers.rw_layers import let_chain_go
from headway.service.images.lookup import Lookup
from headway.service.stores import Stores

_VFS = "vfs"


class Mounts:
    """Mounts that stay."""

    def __init__(self, stores: Stores, points: MountPoints) -> None:
        self._stores = stores
        self._points = points
        self._lookup = Lookup(stores)
        self._containers = Containers(stores)
        self._changing = Lock()

    def mount(self, word: str, directory: Path | None = None, *, read_write: bool = False) -> KeptMount:
        """Mount an image read-only; or, with `read_write`, a new container of it; or a container that is here.

        Args:
            word: The name or ID of an image, else of a container.
            directory: An empty or absent directory; None for one below the data root.
            read_write: Whether to make a container from an image.

        Raises:
            NotFoundError: There is no such image, and no such container.
            ConflictError: `directory` is not empty, or something is mounted there in another mount namespace.
            UnsupportedError: This user, kernel or driver cannot.
            StoreError: The disk failed, or the kernel refused.
        """
        target = None if directory is None else self._points.real(directory)
        with self._changing:
            return self._mount(word, target, read_write=read_write)

    def _mount(self, word: str, target: Path | None, *, read_write: bool) -> KeptMount:
        image = self._image(word)
        if image is None:
            return self._mount_container(self._container(word), target)
        if not read_write:
            return self._mount_image(image, target or self._points.directory / image.image_id.hex)
        container = self._containers.create(word, config=self._config_of(image, word))
        try:
            return self._mount_container(container, target)
        except BaseException:
            self._containers.remove(container.container_id)
            raise

    def _config_of(self, image: ImageRecord, word: str) -> str:
        """Return how a container of an image runs, for whoever commits it."""
        config = container_config({"Image": word}, self._lookup.config(image).config)
        return msgspec.json.encode(config).decode()

    def _image(self, word: str) -> ImageRecord | None:
        try:
            return self._lookup.find(word)
        except NotFoundError:
            return None

    def _container(self, word: str) -> ContainerRecord:
        try:
            return self._containers.get(word)
        except NotFoundError:
            raise NotFoundError("image", word) from None

    def _mount_image(self, image: ImageRecord, target: Path) -> KeptMount:
        if again := self._once_more(target, image.image_id, None):
            return again
        driver = self._stores.drivers.chosen()
        with self._recorded(target, image.image_id, image.chain_id, driver.name, None) as mount:
            trees = self._stores.layers.trees(image.chain_id)  # from here on the record keeps them
            with self._points.prepared(target):
                driver.mount(trees, target)
        self._stores.events.tell_of_image("mount", image.image_id, image.image_id, image)
        return mount

    def _mount_container(self, container: ContainerRecord, directory: Path | None) -> KeptMount:
        for mount in self._mounts_of(container):
            self._require_here(mount)  # what two mounts write to one layer, no kernel keeps apart
        layer = self._stores.rw_layers.get(container.container_id)
        if directory is not None and layer.record.driver == _VFS:
            raise UnsupportedError("vfs keeps a container's files in one place: leave the directory out")
        merged = layer.mount()
        try:
            return self._keep(container, layer, merged, directory or merged)
        finally:
            layer.unmount()  # from here on the record keeps it, where there is one

    def _keep(self, container: ContainerRecord, layer: RwLayer, merged: Path, target: Path) -> KeptMount:
        if again := self._once_more(target, container.image_id, container.container_id):
            return again
        chain_id, driver = layer.record.chain_id, layer.record.driver
        with self._recorded(target, container.image_id, chain_id, driver, container.container_id) as mount:
            if target != merged:
                with self._points.prepared(target):
                    self._points.bind(merged, target)
        return mount

    def _once_more(self, target: Path, image_id: ImageID | None, rw_layer: str | None) -> KeptMount | None:
        """Count a mount that is there already; None where there is none."""
        known = self._stores.mounts.get(target)
        if known is None:
            return None
        self._require_here(known)
        if not self._stores.drivers.named(known.driver).is_mounted(target):
            self._stores.mounts.delete(target)  # somebody has used umount(8)
            return None
        if (known.image_id, known.rw_layer) != (image_id, rw_layer):
            raise ConflictError(f"something else is mounted at {target}")
        counted = msgspec.structs.replace(known, count=known.count + 1)
        self._stores.mounts.put(counted)
        return counted

    @contextmanager
    def _recorded(
        self, target: Path, image_id: ImageID | None, chain_id: ChainID | None, driver: str, rw_layer: str | None
    ) -> Iterator[KeptMount]:
        """Record a mount, which the block makes; where that fails there is none."""
        mount = KeptMount(
            target=target,
            image_id=image_id,
            chain_id=chain_id,
            driver=driver,
            rw_layer=rw_layer,
            place=self._points.here(),
        )
        self._stores.mounts.put(mount)
        try:
            yield mount
        except BaseException:
            self._stores.mounts.delete(target)
            raise

    def _require_here(self, mount: KeptMount) -> None:
        """Refuse what only another mount namespace can change; one that has ended took its mounts along."""
        if mount.driver != _VFS and (process := self._points.process_elsewhere(mount.place)):
            raise ConflictError(
                f"{mount.target} is mounted in another mount namespace, that of process {process}: "
                f"unmount it there (nsenter -t {process} -m)"
            )

    # --- giving back ---

    def unmount(self, word: str) -> KeptMount:
        """Give a mount back; the last one who does unmounts it. What was written in a container stays.

        Args:
            word: The directory, or the name or ID of an image or a container.

        Returns:
            What is left of it: a count of 0 says that it is unmounted.

        Raises:
            NotMountedError: Nothing is mounted there, or by that name.
            ConflictError: It is in use, or in another mount namespace; or several mounts are meant.
            StoreError: The disk failed, or the kernel refused.
        """
        with self._changing:
            return self._unmount(self._find(word))

    def _unmount(self, mount: KeptMount) -> KeptMount:
        self._require_here(mount)
        self._stores.garbage.make_room()  # what was written there may have filled the disk, and go next
        left = msgspec.structs.replace(mount, count=mount.count - 1)
        if left.count:
            self._stores.mounts.put(left)
        elif mount.rw_layer is None:
            self._unmount_image(mount)
        else:
            self._unmount_container(mount, mount.rw_layer)
        return left

    def _find(self, word: str) -> KeptMount:
        with suppress(UnsupportedError):  # it is no text, and nothing of ours is there
            by_place = self._stores.mounts.get(self._points.real(Path(word)))
            if by_place is not None:
                return by_place
        found = self._of_image(word) or self._of_container(word)
        if not found:
            raise NotMountedError(word)
        if len(found) > 1:
            places = ", ".join(str(mount.target) for mount in found)
            raise ConflictError(f"{word} is mounted more than once; name one of {places}")
        return found[0]

    def _of_image(self, word: str) -> list[KeptMount]:
        image = self._lookup.known(word)  # it may be a path, and no name
        return [] if image is None else self._stores.mounts.of_image(image.image_id)

    def _of_container(self, word: str) -> list[KeptMount]:
        try:
            container = self._containers.get(word)
        except NotFoundError:
            return []
        return self._mounts_of(container)

    def _mounts_of(self, container: ContainerRecord) -> list[KeptMount]:
        return [mount for mount in self._stores.mounts.list() if mount.rw_layer == container.container_id]

    def _unmount_image(self, mount: KeptMount) -> None:
        self._stores.drivers.named(mount.driver).unmount(mount.target)
        if mount.target.parent == self._points.directory:
            self._points.drop(mount.target)
        self._stores.mounts.delete(mount.target)
        image = None if mount.image_id is None else self._stores.images.get(mount.image_id)
        self._stores.events.tell_of_image("unmount", str(mount.image_id), str(mount.image_id), image)
        let_chain_go(self._stores, mount.chain_id)

    def _unmount_container(self, mount: KeptMount, name: str) -> None:
        layer = self._stores.rw_layers.get(name)
        merged = layer.mount()  # so that this process is the last one who has it
        try:
            if mount.target != merged:
                self._stores.drivers.named(mount.driver).unmount(mount.target)
            self._stores.mounts.delete(mount.target)
            try:
                layer.unmount()
            except HeadwayError:
                self._stores.mounts.put(msgspec.structs.replace(mount, target=merged))
                raise
        except BaseException:
            layer.unmount()  # the record keeps it
            raise
