"""Files of a tree that is finished, by their paths.

Rule: no symlink is followed, on the way neither: a path means the file at exactly that place.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Self

from headway.layers.directories import READ, Directories

_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

ABSENT = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG))
"""Codes of an OSError that mean: there is nothing of that kind at this path."""


class LeftOut:
    """Goes on behind the block where something is gone, or something else, by now."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        return isinstance(error, OSError) and error.errno in ABSENT


class TreeFiles:
    """Opens files below one directory; paths have no ``.``, ``..`` or empty component. A context manager.

    Args:
        directory: The tree.

    Raises:
        OSError: From every method: a system call failed; see `ABSENT`.
    """

    def __init__(self, directory: Path) -> None:
        self._directories = Directories([directory], os.O_PATH | os.O_NOFOLLOW)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._directories.close()

    def open(self, path: bytes) -> int:
        """Return a descriptor for reading what is at `path`, which the caller closes; a fifo does not block it."""
        above, _, name = path.rpartition(b"/")
        return os.open(name, READ, dir_fd=self._directories.open(0, above))

    @contextmanager
    def opened(self, path: bytes) -> Iterator[int]:
        """Give what `open` returns, and close it."""
        descriptor = self.open(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def status(self, path: bytes) -> os.stat_result:
        """Return what lstat says of what is at `path`."""
        above, _, name = path.rpartition(b"/")
        return os.stat(name, dir_fd=self._directories.open(0, above), follow_symlinks=False)

    def walk(self, *, changing: bool = False) -> Iterator[tuple[bytes, os.stat_result]]:
        """Yield path and lstat of everything that is no directory, in no order.

        Args:
            changing: Whether what goes meanwhile is left out.
        """
        waiting = [b""]
        while waiting:
            above = waiting.pop()
            for name, status in self._listed(above, lenient=changing):
                path = name if not above else above + b"/" + name
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(path)
                else:
                    yield path, status

    def _listed(self, path: bytes, *, lenient: bool) -> list[tuple[bytes, os.stat_result]]:
        entries: list[tuple[bytes, os.stat_result]] = []
        with LeftOut() if lenient else nullcontext():
            descriptor = os.open(b".", _LIST, dir_fd=self._directories.open(0, path))
            try:
                with os.scandir(descriptor) as found:
                    for entry in found:
                        try:  # by hand: a context for each would cost more than the call
                            entries.append((os.fsencode(entry.name), entry.stat(follow_symlinks=False)))
                        except FileNotFoundError:
                            if not lenient:
                                raise
            finally:
                os.close(descriptor)
        return entries


def sums(found: Iterable[os.stat_result]) -> tuple[int, int]:
    """Return what Docker counts of files, directories aside and hard links once, and how many names they have."""
    size = count = 0
    seen: set[tuple[int, int]] = set()
    for status in found:
        if stat.S_ISDIR(status.st_mode):
            continue
        count += 1
        if status.st_nlink > 1:
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
        size += status.st_size
    return size, count


def pieces(descriptor: int, limit: int) -> Iterator[bytes]:
    """Yield what an open file holds from its beginning, `limit` bytes at most at once.

    Raises:
        OSError: As pread(2).
    """
    at = 0
    while piece := os.pread(descriptor, limit, at):
        yield piece
        at += len(piece)


def is_file(descriptor: int, size: int) -> bool:
    """Tell whether an open file is a regular one of `size` bytes."""
    status = os.fstat(descriptor)
    return stat.S_ISREG(status.st_mode) and status.st_size == size
