"""Sums the size of a tree, and its blocks on disk, while it is being made, so that nobody has to walk it.

Rule 1: `size` is exactly what Docker counts (moby-behaviour 4.7).
Rule 2: `disk` is what du counts. What plain contents take follows from their length and is not asked for: it would be a
        system call per file, and XFS has allocated too much as long as a file is open. What depends on the file system
        is asked for: directories when they are full, attributes, contents and links that may lie in the inode. All
        short links take the same, so that one is asked for: nothing on most, a cluster each on btrfs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from headway.layers.tar.entry import Entry
from headway.layers.tar.sparse_maps import Map
from headway.layers.trees.inline import INLINE

_BLOCK = 512  # st_blocks, stat(2)
_SHORT_LINK = 60  # a shorter target lies in the inode, where links do


class Footprint:
    """Sums of one tree.

    Args:
        cluster: What the file system allocates at once, in bytes.

    Attributes:
        size: Lengths of regular files, hard links once, and of symlink targets.
        disk: Bytes of the clusters that the tree takes up.
        members: Names of everything but directories.
    """

    def __init__(self, cluster: int) -> None:
        self.size = 0
        self.disk = 0
        self.members = 0
        self._cluster = cluster
        self._directories: set[int] = set()
        self._short_link: int | None = None

    def add_file(self, entry: Entry, descriptor: int) -> None:
        """Count a regular file that is complete."""
        self.members += 1
        self.size += entry.size
        disk = self._cluster * _clusters(entry.sparse or ((0, entry.size),), self._cluster)
        if entry.xattrs or 0 < entry.size < INLINE:
            asked = os.fstat(descriptor).st_blocks * _BLOCK
            # A block of attributes at most: what is more is a reserve that ends when the file is closed.
            disk = min(asked, disk + self._cluster) if entry.xattrs else min(asked, disk)
        self.disk += disk

    def add_plain(self, sizes: Sequence[int], inline: int) -> None:
        """Count files of these lengths, without attributes and holes, of which `inline` have a length and no block."""
        cluster = self._cluster
        self.members += len(sizes)
        self.size += sum(sizes)
        self.disk += cluster * (sum([-(-size // cluster) for size in sizes]) - inline)

    def add_symlink(self, length: int, parent: int, name: bytes) -> None:
        """Count a symlink with a target of `length` bytes."""
        self.members += 1
        self.size += length
        disk = self._short_link if length < _SHORT_LINK else None
        if disk is None:
            disk = os.stat(name, dir_fd=parent, follow_symlinks=False).st_blocks * _BLOCK
            if length < _SHORT_LINK:
                self._short_link = disk
        self.disk += disk

    def add_name(self) -> None:
        """Count what takes nothing but its name: a hard link, a node, a whiteout."""
        self.members += 1

    def drop_name(self) -> None:
        """Stop counting one that `add_name` counted."""
        self.members -= 1

    def add_directory(self, status: os.stat_result) -> None:
        """Count a directory with everything in it already; one that was counted is not counted again."""
        if status.st_ino not in self._directories:
            self._directories.add(status.st_ino)
            self.disk += status.st_blocks * _BLOCK

    def remove(self, status: os.stat_result) -> None:
        """Stop counting what lstat said this of, just before it was removed; directories are counted at the end."""
        self.members -= not stat.S_ISDIR(status.st_mode)
        if status.st_nlink != 1:
            return
        if stat.S_ISREG(status.st_mode):
            self.size -= status.st_size
            clusters = _clusters(((0, status.st_size),), self._cluster)
            self.disk -= min(clusters * self._cluster, status.st_blocks * _BLOCK)
        elif stat.S_ISLNK(status.st_mode):
            self.size -= status.st_size
            self.disk -= status.st_blocks * _BLOCK


def _clusters(parts: Map, cluster: int) -> int:
    """Return how many clusters have data; parts are in order and may share one."""
    count = done = 0
    for offset, length in parts:
        if length:
            end = -(-(offset + length) // cluster)
            count += end - max(done, offset // cluster)
            done = end
    return count
