"""Opens and lists the files of a finished tree.

Rule: no symlink is followed, not even on the way: a path means the file at exactly that place.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Self

from headway.layers.trees.directories import READ, Directories

_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

ABSENT = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG))
"""Values of errno: there is no such file at this path, or no file of that kind."""


class LeftOut:
    """A context manager that suppresses the errors of `ABSENT`: the file is gone meanwhile, or another one."""

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
        """Open the file at `path` for reading; return its descriptor, which the caller closes. FIFOs do not block."""
        above, _, name = path.rpartition(b"/")
        return os.open(name, READ, dir_fd=self._directories.open(0, above))

    @contextmanager
    def opened(self, path: bytes) -> Iterator[int]:
        """Open the file at `path` for the block, and give its descriptor."""
        descriptor = self.open(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def status(self, path: bytes) -> os.stat_result:
        """Return the lstat of the file at `path`."""
        above, _, name = path.rpartition(b"/")
        return os.stat(name, dir_fd=self._directories.open(0, above), follow_symlinks=False)

    def walk(self, *, changing: bool = False) -> Iterator[tuple[bytes, os.stat_result]]:
        """Yield path and lstat of every non-directory, in no particular order.

        Args:
            changing: Whether files may vanish meanwhile, and are then left out.
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
                entries += _entries(descriptor, lenient=lenient)
            finally:
                os.close(descriptor)
        return entries


def _entries(descriptor: int, *, lenient: bool) -> Iterator[tuple[bytes, os.stat_result]]:
    with os.scandir(descriptor) as found:
        for entry in found:
            try:  # not `LeftOut`: a context manager for each entry would cost more than the call
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                if lenient:
                    continue
                raise
            yield os.fsencode(entry.name), status


def sums(found: Iterable[os.stat_result]) -> tuple[int, int]:
    """Return the size of files as Docker counts it, without directories and hard links once, and how many names."""
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
    """Yield the content of an open file, in pieces of at most `limit` bytes.

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
