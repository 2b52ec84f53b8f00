"""Finds directories that hold nothing but whiteouts.

Some tools write the whiteouts of a removed directory from the bottom up: those of its content first, its own last.
"""

from __future__ import annotations

import os

from headway.layers.trees.confinement import Root
from headway.layers.trees.whiteouts import is_whiteout
from headway.layers.unpacking.absent import Absent
from headway.layers.unpacking.made_directories import LISTED, MadeDirectories


class Hollow:
    """Tells which directories of a layer's tree are hollow.

    Args:
        root: Opens the directories.
        directories: Knows which of them have no entry of their own.
        absent: Knows the entries of a directory that are not on disk.

    Raises:
        OSError: From `is_hollow`: a system call failed.
    """

    def __init__(self, root: Root, directories: MadeDirectories, absent: Absent) -> None:
        self._root = root
        self._directories = directories
        self._absent = absent
        self._solid: set[int] = set()  # inodes of directories that are known not to be hollow

    def is_hollow(self, path: bytes) -> bool:
        """Tell whether a directory holds nothing but whiteouts, and directories without an entry that are hollow too.

        Each directory is searched once: if it is not hollow, neither is any directory above it, and all are remembered.

        Args:
            path: Path of the directory, without symlinks.
        """
        way: list[int] = []
        pending = [(0, path)]
        while pending:
            depth, path = pending.pop()
            descriptor = os.open(b".", LISTED, dir_fd=self._root.directory(path, create=False))
            try:
                way[depth:] = [os.fstat(descriptor).st_ino]
                below = self._below(descriptor)
            finally:
                os.close(descriptor)
            if below is None or self._absent.holds(path):
                self._solid.update(way)
                return False
            pending += [(depth + 1, path + b"/" + name) for name in below]
        return True

    def _below(self, descriptor: int) -> list[bytes] | None:
        """Return the directories in a directory that may be hollow; None if it holds more than these and whiteouts."""
        below = []
        with os.scandir(descriptor) as found:
            for each in found:
                if each.inode() in self._directories.implicit and each.inode() not in self._solid:
                    below.append(os.fsencode(each.name))
                elif not is_whiteout(each.stat(follow_symlinks=False)):
                    return None
        return below

    def forget(self, status: os.stat_result) -> None:
        """Forget a directory that was removed, as another one may get its inode number."""
        self._solid.discard(status.st_ino)
