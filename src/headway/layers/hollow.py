"""Directories that hold nothing but whiteouts.

Some tools write what a layer has removed from the bottom up, and the whiteout of a directory behind those of what it
held.
"""

from __future__ import annotations

import os

from headway.layers.absent import Absent
from headway.layers.confinement import Root
from headway.layers.made_directories import LISTED, MadeDirectories
from headway.layers.whiteouts import is_whiteout


class Hollow:
    """Tells which directories are hollow.

    Args:
        root: Opens them.
        directories: Knows which of them no entry has described.
        absent: Knows what a directory holds that is not on disk.

    Raises:
        OSError: From `is_hollow`: a system call failed.
    """

    def __init__(self, root: Root, directories: MadeDirectories, absent: Absent) -> None:
        self._root = root
        self._directories = directories
        self._absent = absent
        self._solid: set[int] = set()  # inodes of those that are known to hold more

    def is_hollow(self, path: bytes) -> bool:
        """Tell whether a directory has nothing but whiteouts, in directories that no entry described.

        What keeps one keeps all that it is in, for as long as they are there: nobody looks for that twice.

        Args:
            path: It has no symlink on it.
        """
        implicit = self._directories.implicit
        way: list[int] = []
        pending = [(0, path)]
        while pending:
            depth, path = pending.pop()
            descriptor = os.open(b".", LISTED, dir_fd=self._root.directory(path, create=False))
            try:
                way[depth:] = [os.fstat(descriptor).st_ino]
                with os.scandir(descriptor) as found:
                    for each in found:
                        if each.inode() in implicit and each.inode() not in self._solid:
                            pending.append((depth + 1, path + b"/" + os.fsencode(each.name)))
                        elif not is_whiteout(each.stat(follow_symlinks=False)):
                            self._solid.update(way)
                            return False
                if self._absent.holds(path):
                    self._solid.update(way)
                    return False
            finally:
                os.close(descriptor)
        return True

    def forget(self, status: os.stat_result) -> None:
        """Drop what is known of a directory that is gone: another one may get its number."""
        self._solid.discard(status.st_ino)
