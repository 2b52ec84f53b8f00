"""What a mount of a read-write layer is made of: its directory, the trees below it, and the driver that mounts it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from headway.container_records import RwLayerRecord, RwPlace
from headway.interfaces.drivers import Drivers, RwDriver
from headway.interfaces.layers import LayerStore
from headway.paths import is_directory
from headway.records import LayerReport, Tree
from headway.store.data_root import DataRoot
from headway.store.failures import disk_errors
from headway.store.removal import move_out, remove_tree

MakeInit: TypeAlias = Callable[[Sequence[Tree], Path], LayerReport]
"""Makes the init layer over some trees, bottom first, in a directory that is new."""


class RwStacks:
    """Finds the parts of a mount from a layer's record.

    Args:
        root: The data root.
        layers: The layers of images.
        drivers: Make and mount read-write layers.
        make_init: See `MakeInit`.
    """

    def __init__(self, root: DataRoot, layers: LayerStore, drivers: Drivers, make_init: MakeInit) -> None:
        self._root = root
        self._layers = layers
        self._drivers = drivers
        self._make_init = make_init

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

    def have_init(self, record: RwLayerRecord) -> None:
        """Make a layer's init layer again where it is gone: nothing in it is the container's own.

        Raises:
            StoreError: The disk failed.
        """
        place = self.place(record)
        with disk_errors(place.init):
            if record.init_report is None or is_directory(place.init, follow=False):
                return
        private = self._root.private()
        self._make_init(self._layers.trees(record.chain_id), private)
        if (in_the_way := move_out(self._root, place.init)) is not None:
            remove_tree(in_the_way)
        with disk_errors(place.init):
            os.rename(private, place.init)
