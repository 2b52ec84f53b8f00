"""Layers as the image service gives them out: by operating system, and with containers on top (moby-behaviour 1.2).

Rule: there is one layer store, that of Linux; whoever names another system is told so.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from headway.container_records import ContainerRecord
from headway.errors import HeadwayError, NotFoundError, UnsupportedError
from headway.interfaces.rw_layers import RwLayer
from headway.service.containers.containers import storage_options_of
from headway.service.containers.rw_layers import release_layer
from headway.service.images.sharing import chain_of
from headway.service.stores import Stores

LINUX = "linux"
log = logging.getLogger(__name__)


class ImageLayers:
    """Gives layers out and takes them back.

    Args:
        stores: Where they are.
        place: A directory on the file system that holds them.
    """

    def __init__(self, stores: Stores, place: Path) -> None:
        self._stores = stores
        self._place = place

    def create(self, container: ContainerRecord, *, init: bool = True) -> RwLayer:
        """Make a container's read-write layer; its ``StorageOpt`` is obeyed.

        Raises:
            NotFoundError: Its image is gone.
            ConflictError: It has one.
            RequestError: Its host config is none.
            UnsupportedError: Its operating system, or a storage option.
            StoreError: The disk failed.
        """
        _require_linux(container.platform.partition("/")[0] or LINUX)
        chain_id = None
        if container.image_id is not None:
            image = self._stores.images.get(container.image_id)
            if image is None:
                raise NotFoundError("image", container.image_id)
            chain_id = image.chain_id
        storage_opt, label = storage_options_of(container), container.mount_label
        with self._stores.rw_layers.prepare(chain_id, init=init, storage_opt=storage_opt, mount_label=label) as draft:
            return draft.publish(container.container_id)

    def get(self, container_id: str, system: str) -> RwLayer:
        """Return a container's layer.

        Raises:
            MountNotFoundError: ``mount does not exist``.
            UnsupportedError: Another operating system.
        """
        _require_linux(system)
        return self._stores.rw_layers.get(container_id)

    def release(self, container_id: str, system: str) -> None:
        """Remove a container's layer, and what only it needed; one that is gone already is fine.

        Raises:
            ConflictError: It is mounted.
            StoreError: The disk failed, in Moby's words; it can be tried again.
            UnsupportedError: Another operating system.
        """
        _require_linux(system)
        release_layer(self._stores, container_id)

    def sizes(self, container_id: str) -> tuple[int, int]:
        """Return what a container has written, and that with its image, in bytes as Docker counts.

        A size that cannot be told is -1; of a layer that is gone both are 0. The log says so.
        """
        try:
            layer = self._stores.rw_layers.get(container_id)
        except NotFoundError as error:
            log.error("Failed to compute size of container rootfs %s: %s", container_id, error)  # noqa: TRY400  # as above
            return 0, 0
        sizes = self._stores.layers.sizes()
        below = sum(sizes[chain_id].size for chain_id in chain_of(layer.record.chain_id, sizes))
        try:
            written = layer.size()
        except HeadwayError as error:
            log.error(  # noqa: TRY400  # no bug of ours to be traced
                "Driver %s couldn't return diff size of container %s: %s", layer.record.driver, container_id, error
            )
            return -1, below
        return written, below + written

    def status(self) -> Mapping[str, list[tuple[str, str]]]:
        """Return what there is to know of the driver, as ``docker info`` shows it, by operating system."""
        return {LINUX: self._stores.drivers.chosen().status(self._place)}

    def driver(self, system: str) -> str:
        """Return the name of the driver.

        Raises:
            UnsupportedError: Another operating system, or no driver works here.
        """
        _require_linux(system)
        return self._stores.drivers.chosen().name

    def cleanup(self) -> None:
        """Unmount what this process has mounted; called at shutdown.

        Raises:
            HeadwayError: Something stays mounted, which the log says too.
        """
        try:
            self._stores.rw_layers.cleanup()
        except HeadwayError as error:
            log.error("Error during layer Store.Cleanup(): %s %s", error, LINUX)  # noqa: TRY400  # as above
            raise


def _require_linux(system: str) -> None:
    if system != LINUX:
        raise UnsupportedError("operating system is not supported")
