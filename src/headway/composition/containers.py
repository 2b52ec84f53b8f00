"""Builds what makes and mounts containers' layers, and puts right what a crash has left of their mounts.

Rule: code that mounts is imported only when something is mounted or a crash left a mount: most commands that write
only change names.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from headway.container_records import KeptMount
from headway.interfaces.drivers import Drivers, RwDriver
from headway.interfaces.layers import LayerStore
from headway.records import LayerReport, Tree
from headway.service.containers.containers import Containers
from headway.service.stores import Stores
from headway.settings import Settings
from headway.store.containers.mounts import SqliteMountTable, remove_litter
from headway.store.containers.rw_layers import SqliteRwLayerStore
from headway.store.data_root import DataRoot
from headway.store.database.database import Database

if TYPE_CHECKING:
    from headway.service.containers.mounts import Mounts


class LazyDrivers:
    """`Drivers` of one data root, imported when they are needed.

    Args:
        settings: Says which one is wanted.
        root: The data root.
        database: Its database, which knows what is here.
    """

    def __init__(self, settings: Settings, root: DataRoot, database: Database) -> None:
        self._settings = settings
        self._root = root
        self._database = database

    @cached_property
    def _installed(self) -> Drivers:
        from headway.layers.drivers.selection import InstalledDrivers  # noqa: PLC0415  # see the rule

        return InstalledDrivers(self._settings.storage_driver, self._prior, self._root.tmp)

    def _prior(self) -> set[str]:
        return {driver for (driver,) in self._database.query("SELECT DISTINCT driver FROM rw_layers")}

    def chosen(self) -> RwDriver:
        """Return the driver for whatever is new."""
        return self._installed.chosen()

    def named(self, name: str) -> RwDriver:
        """Return the driver that made something."""
        return self._installed.named(name)


def rw_layers(root: DataRoot, database: Database, layers: LayerStore, drivers: Drivers) -> SqliteRwLayerStore:
    """Return the read-write layers of a data root."""
    return SqliteRwLayerStore(root, database, layers, drivers, _make_init)


def put_mounts_right(root: DataRoot, database: Database, layers: LayerStore, drivers: Drivers) -> None:
    """Make rows, directories and mounts agree; called with the writer lock held, before anything is collected.

    Raises:
        StoreError: The disk failed.
    """
    # Read once, as there may be a thousand mounts; one that is unmounted meanwhile does no harm in the list.
    ours = cache(_ours)

    def is_mounted(mount: KeptMount) -> bool:
        return os.path.realpath(mount.target) in ours() or drivers.named(mount.driver).is_mounted(mount.target)

    table = SqliteMountTable(database)
    table.recover(here, is_mounted)
    rw_layers(root, database, layers, drivers).recover(ours)
    remove_litter(root, table, ours)


def mounts(settings: Settings, stores: Stores) -> Mounts:
    """Return the service behind `headway mount`, whose mounts outlive their command."""
    from headway.layers.drivers.mount_points import KernelMountPoints  # noqa: PLC0415  # see the rule
    from headway.service.containers.mounts import Mounts  # noqa: PLC0415  # as above

    return Mounts(stores, KernelMountPoints(DataRoot(settings.data_root).mounts))


def finish_removals(stores: Stores) -> None:
    """Remove the containers whose removal a crash has cut short.

    Raises:
        StoreError: The disk failed.
    """
    Containers(stores).finish_removals()


def here() -> str:
    """See `headway.layers.drivers.mounts.here`."""
    from headway.layers.drivers import mounts  # noqa: PLC0415  # see the rule

    return mounts.here()


def _ours() -> set[str]:
    from headway.layers.drivers import mounts  # noqa: PLC0415  # see the rule

    return mounts.ours()


def _make_init(trees: Sequence[Tree], directory: Path) -> LayerReport:
    from headway.layers.trees.init_layer import make_init_layer  # noqa: PLC0415  # see the rule

    return make_init_layer(trees, directory)
