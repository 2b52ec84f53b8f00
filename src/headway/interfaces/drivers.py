"""How trees become a root file system: read-only, or with a layer on top that takes what is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from headway.container_records import Change, RwPlace
from headway.records import Tree


class Driver(Protocol):
    """How trees become one mounted root file system.

    A mount outlives the process; it holds its trees, which must not be removed meanwhile. Calls for different targets
    do not disturb each other.

    Attributes:
        name: What it is called in settings and records.
    """

    name: str

    def supported(self, path: Path) -> str | None:
        """Return why trees below `path` cannot be mounted by this user, None where they can.

        Raises:
            StoreError: Nothing can be written at `path`.
        """

    def status(self, path: Path) -> list[tuple[str, str]]:
        """Return what there is to know of it on the file system of `path`, as ``docker info`` shows it."""

    def mount(self, trees: Sequence[Tree], target: Path) -> None:
        """Mount `trees` (bottom first) at `target`, read-only.

        Raises:
            ConflictError: `target` is not an empty directory.
            UnsupportedError: This driver, kernel or user cannot.
            StoreError: The kernel refused.
        """

    def unmount(self, target: Path) -> None:
        """Undo `mount`; nothing happens where nothing is mounted.

        Raises:
            ConflictError: Something in it is in use.
            StoreError: The kernel refused.
        """

    def is_mounted(self, target: Path) -> bool:
        """Tell whether `target` shows what `mount` put there, whichever process did it."""


class RwDriver(Driver, Protocol):
    """A driver that also makes read-write layers, each in a directory of its own (`container_records.RwPlace`).

    `trees` are always those below the read-write layer, bottom first, its init layer last.
    """

    def create(self, place: RwPlace, trees: Sequence[Tree], options: Mapping[str, str]) -> None:
        """Make a new read-write layer; `place.path` is an empty directory, or holds the init layer only.

        On an error what lies in `place` is worthless, and the caller removes it.

        Args:
            place: Where.
            trees: What is below it.
            options: Docker's ``--storage-opt``.

        Raises:
            UnsupportedError: An option that this driver or this file system does not have; in Moby's words.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """

    def mount_rw(self, place: RwPlace, trees: Sequence[Tree]) -> None:
        """Mount a layer at `place.merged`; errors as in `mount`, which `unmount` undoes as well."""

    def changes(self, place: RwPlace, trees: Sequence[Tree], *, written: bool = False) -> list[Change]:
        """Return how the layer differs from what is below it, by path, as `docker diff` does (moby-behaviour 4.9).

        Args:
            place: Where the layer is.
            trees: What is below it, bottom first.
            written: Whether what was written and looks as before counts too, where the driver knows of it: what
                `docker commit` takes.
        """

    def size(self, place: RwPlace, trees: Sequence[Tree]) -> int:
        """Return the layer's size in bytes as Docker counts it (moby-behaviour 4.7), not the blocks it takes up."""

    def metadata(self, place: RwPlace, trees: Sequence[Tree]) -> dict[str, str]:
        """Return ``GraphDriver.Data``: directories of the layer, by Moby's keys; empty where there are none."""


class Drivers(Protocol):
    """Those there are."""

    def chosen(self) -> RwDriver:
        """Return the driver for whatever is new; it may try a mount to find out which works, once.

        Raises:
            UnsupportedError: The one that is set, or was in use here, does not exist or does not work here.
            StoreError: Nothing can be written below the data root.
        """

    def named(self, name: str) -> RwDriver:
        """Return the driver that made something.

        Raises:
            UnsupportedError: This version has none of that name.
        """
