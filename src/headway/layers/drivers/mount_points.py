"""Prepares, mounts and removes mount points of `headway mount`, and identifies this mount namespace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headway.errors import ConflictError, UnsupportedError
from headway.layers.drivers import mounts
from headway.layers.failures import disk_failures
from headway.paths import is_there


class KernelMountPoints:
    """`MountPoints` of this mount namespace.

    Args:
        directory: Where images are mounted if no other place is named.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def here(self) -> str:
        """Return a name that identifies this boot and this mount namespace."""
        with disk_failures("/proc"):
            return mounts.here()

    def process_elsewhere(self, place: str) -> int:
        """Return the ID of a process in another mount namespace, named `place` by `here`; 0 where there is none."""
        with disk_failures("/proc"):
            return mounts.process_elsewhere(place)

    def real(self, path: Path) -> Path:
        """Return the path with all symlinks resolved.

        Raises:
            UnsupportedError: It is not UTF-8, and could not be recorded.
        """
        real = os.path.realpath(path)
        try:
            os.fsencode(real).decode()
        except UnicodeDecodeError:
            raise UnsupportedError(f"{real} is no text") from None
        return Path(real)

    @contextmanager
    def prepared(self, target: Path) -> Iterator[None]:
        """Make sure that `target` is an empty directory; if the block raises, remove it if it was made here."""
        with disk_failures(str(target)):
            is_new = not is_there(target)
            if is_new:
                target.mkdir(mode=0o755)
            if os.listdir(target):
                raise ConflictError(f"{target} is not empty")
        try:
            yield
        except BaseException:
            if is_new:
                with suppress(OSError):
                    target.rmdir()
            raise

    def drop(self, target: Path) -> None:
        """Remove an empty directory; do nothing if it is gone."""
        with disk_failures(str(target)), suppress(FileNotFoundError):
            target.rmdir()

    def bind(self, source: Path, target: Path) -> None:
        """Bind mount `source` at `target`."""
        with disk_failures(str(target)):
            mounts.bind(str(source), str(target))
