"""Where read-write layers lie, what they stand on, and what stacks them."""

from __future__ import annotations

from collections.abc import Sequence

from headway.container_records import RwLayerRecord, RwPlace
from headway.interfaces.drivers import Drivers, RwDriver
from headway.interfaces.layers import LayerStore
from headway.records import Tree
from headway.store.data_root import DataRoot


class RwStacks:
    """Finds that from a layer's record.

    Args:
        root: The data root.
        layers: What the layers stand on.
        drivers: What makes and mounts them.
    """

    def __init__(self, root: DataRoot, layers: LayerStore, drivers: Drivers) -> None:
        self._root = root
        self._layers = layers
        self._drivers = drivers

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
