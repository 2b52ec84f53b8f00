"""Chooses the storage driver of a data root (moby-behaviour 4.7).

Rule 1: a driver that the settings name is used or refused, never replaced by another.
Rule 2: otherwise a data root keeps the driver of its read-write layers, since no other can mount them. Layers of vfs do
        not count, as in Docker, so that a data root can change from vfs to a driver that stacks layers.
Rule 3: otherwise it is overlay2 if that works, and vfs if it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from headway.errors import InvalidSettingError, UnsupportedError
from headway.interfaces.drivers import RwDriver
from headway.layers.drivers.overlay2 import Overlay2Driver
from headway.layers.drivers.vfs import VfsDriver

Known: TypeAlias = Mapping[str, Callable[[], RwDriver]]
DRIVERS: Known = {Overlay2Driver.name: Overlay2Driver, VfsDriver.name: VfsDriver}
"""Best first."""
_NAMED = "error initializing graphdriver"


class InstalledDrivers:
    """`Drivers` of one data root; the choice is made once, when it is first asked for.

    Args:
        wanted: The name of the driver in the settings; empty for the best one.
        prior: Returns the drivers of the read-write layers that are here.
        path: A directory on the file system that holds the layers; a mount is tried there.
    """

    def __init__(self, wanted: str, prior: Callable[[], Collection[str]], path: Path) -> None:
        self._wanted = wanted
        self._prior = prior
        self._path = path
        self._lock = Lock()
        self._chosen: RwDriver | None = None

    def chosen(self) -> RwDriver:
        """Return the driver for new layers and mounts; raise as `choose_driver`."""
        with self._lock:
            if self._chosen is None:
                self._chosen = choose_driver(self._wanted, self._prior(), self._path)
            return self._chosen

    def named(self, name: str) -> RwDriver:
        """Return the driver that made something.

        Raises:
            UnsupportedError: This version has none of that name.
        """
        if name not in DRIVERS:
            raise UnsupportedError(f"driver not supported: {name}")
        return DRIVERS[name]()


def require_known(wanted: str) -> None:
    """Check that a driver of this name exists, whether it works here or not; an empty name is fine.

    Raises:
        InvalidSettingError: There is none of that name; in the words of `choose_driver`.
    """
    if wanted and wanted not in DRIVERS:
        raise InvalidSettingError(f"{_NAMED}: {_unknown(wanted, DRIVERS)}")


def choose_driver(wanted: str, prior: Collection[str], path: Path, known: Known = DRIVERS) -> RwDriver:
    """Return the driver for new read-write layers and mounts.

    Args:
        wanted: Its name; empty for the best one.
        prior: The drivers of the read-write layers that are here.
        path: A directory on the file system that holds the layers; the driver is tried there.
        known: All drivers.

    Raises:
        UnsupportedError: The one that is wanted, or was in use here, does not exist or does not work here.
        StoreError: Nothing can be written at `path`.
    """
    if wanted:
        return _only(wanted, path, known, _NAMED)
    for name in known:
        if name in prior and name != VfsDriver.name:
            return _only(name, path, known, f"[graphdriver] prior storage driver {name} failed")
    for make in known.values():
        driver = make()
        if driver.supported(path) is None:
            return driver
    raise UnsupportedError("No supported storage backend found")


def _only(name: str, path: Path, known: Known, failure: str) -> RwDriver:
    if name not in known:
        raise UnsupportedError(f"{failure}: {_unknown(name, known)}")
    driver = known[name]()
    if reason := driver.supported(path):
        raise UnsupportedError(f"{failure}: driver not supported: {reason}")
    return driver


def _unknown(name: str, known: Known) -> str:
    return f"driver not supported: {name} is none of {', '.join(known)}"
