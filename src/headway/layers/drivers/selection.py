"""Which driver a data root gets (moby-behaviour 4.7).

Rule 1: one that is named is taken or refused, never replaced by another.
Rule 2: else a data root keeps the driver of the read-write layers it has: they can be mounted with no other. Those of
        vfs count for nothing there, as with Docker: whoever can stack may begin to.
Rule 3: else overlay2 where it works, and vfs where it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeAlias

from headway.errors import UnsupportedError
from headway.interfaces.drivers import RwDriver
from headway.layers.drivers.overlay2 import Overlay2Driver
from headway.layers.drivers.vfs import VfsDriver

Drivers: TypeAlias = Mapping[str, Callable[[], RwDriver]]
DRIVERS: Drivers = {Overlay2Driver.name: Overlay2Driver, VfsDriver.name: VfsDriver}
"""Best first."""


def choose_driver(wanted: str, prior: Collection[str], path: Path, drivers: Drivers = DRIVERS) -> RwDriver:
    """Return the driver for new read-write layers and mounts.

    Args:
        wanted: Its name; empty for whatever is best.
        prior: The drivers of the read-write layers that are here.
        path: A directory on the file system that holds the layers; it is tried there.
        drivers: Those there are.

    Raises:
        UnsupportedError: The one that is wanted, or was in use here, does not exist or does not work here.
        StoreError: Nothing can be written at `path`.
    """
    if wanted:
        return _only(wanted, path, drivers, "error initializing graphdriver")
    for name in drivers:
        if name in prior and name != VfsDriver.name:
            return _only(name, path, drivers, f"[graphdriver] prior storage driver {name} failed")
    for make in drivers.values():
        driver = make()
        if driver.supported(path) is None:
            return driver
    raise UnsupportedError("No supported storage backend found")


def driver_named(name: str, drivers: Drivers = DRIVERS) -> RwDriver:
    """Return a driver that made something which is here.

    Raises:
        UnsupportedError: This version has none of that name.
    """
    if name not in drivers:
        raise UnsupportedError(f"driver not supported: {name}")
    return drivers[name]()


def _only(name: str, path: Path, drivers: Drivers, failure: str) -> RwDriver:
    reason = f"{name} is none of {', '.join(drivers)}"
    if name in drivers:
        driver = drivers[name]()
        reason = driver.supported(path) or ""
        if not reason:
            return driver
    raise UnsupportedError(f"{failure}: driver not supported: {reason}")
