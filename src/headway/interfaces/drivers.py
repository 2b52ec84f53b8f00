"""Drivers, which mount trees as a root file system: read-only, or with a read-write layer on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from headway.container_records import Change, RwPlace
from headway.records import Tree


class Driver(Protocol):
    """Mounts trees as one root file system.

    A mount outlives the process. Its trees must not be removed while it exists. Calls for different targets may run at
    the same time.

    Attributes:
        name: Its name in settings and records.
    """

    name: str

    def supported(self, path: Path) -> str | None:
        """Return why this user cannot mount trees below `path`; None if it is possible.

        Raises:
            StoreError: `path` cannot be written.
        """

    def status(self, path: Path) -> list[tuple[str, str]]:
        """Return facts about the driver on the file system of `path`, as ``docker info`` shows them."""

    def mount(self, trees: Sequence[Tree], target: Path) -> None:
        """Mount `trees` (bottom first) at `target`, read-only.

        Raises:
            ConflictError: `target` is not an empty directory.
            UnsupportedError: This driver, kernel or user cannot.
            StoreError: The kernel refused.
        """

    def unmount(self, target: Path) -> None:
        """Undo `mount`; do nothing if nothing is mounted.

        Raises:
            ConflictError: The mount is in use.
            StoreError: The kernel refused.
        """

    def is_mounted(self, target: Path) -> bool:
        """Tell whether `target` is mounted by `mount` of this or another process."""


class RwDriver(Driver, Protocol):
    """A driver that also makes read-write layers, each in a directory of its own (`container_records.RwPlace`).

    `trees` are always those below the read-write layer, bottom first, its init layer last.
    """

    def create(self, place: RwPlace, trees: Sequence[Tree], options: Mapping[str, str]) -> None:
        """Make a new read-write layer; `place.path` is an empty directory, or holds the init layer only.

        After an error, the caller removes what lies in `place`.

        Args:
            place: Directory of the layer.
            trees: The trees below it.
            options: Docker's ``--storage-opt``.

        Raises:
            UnsupportedError: An option that this driver or this file system does not have; in Moby's words.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """

    def mount_rw(self, place: RwPlace, trees: Sequence[Tree]) -> None:
        """Mount a layer at `place.merged`; errors are those of `mount`. `unmount` undoes it."""

    def changes(self, place: RwPlace, trees: Sequence[Tree], *, written: bool = False) -> list[Change]:
        """Return how the layer differs from what is below it, by path, as `docker diff` does (moby-behaviour 4.9).

        Args:
            place: Directory of the layer.
            trees: The trees below it, bottom first.
            written: Whether to include files that were written but look the same, if the driver knows of them, as
                `docker commit` does.
        """

    def size(self, place: RwPlace, trees: Sequence[Tree]) -> int:
        """Return the layer's size in bytes as Docker counts it (moby-behaviour 4.7), not the blocks it takes up."""

    def metadata(self, place: RwPlace, trees: Sequence[Tree]) -> dict[str, str]:
        """Return ``GraphDriver.Data``: directories of the layer, by Moby's keys; empty where there are none."""


class Drivers(Protocol):
    """The drivers of this version."""

    def chosen(self) -> RwDriver:
        """Return the driver for new layers and mounts; the first call may try a mount to find out which one works.

        Raises:
            UnsupportedError: The driver that is set, or was used here before, does not exist or does not work.
            StoreError: The data root cannot be written.
        """

    def named(self, name: str) -> RwDriver:
        """Return the driver with a name from a record.

        Raises:
            UnsupportedError: This version has no driver of that name.
        """
