"""How much a tree is and takes, summed while it is made so that nothing has to walk it.

Rule: `size` is exactly what Docker counts (moby-behaviour 4.7). `disk` is what ext4 and XFS with 4 KiB clusters use for
contents, directories of usual size and long symlinks; it is computed and not asked for, as asking costs a system call
per file.
"""

from __future__ import annotations

import os
import stat

from headway.layers.tar_entry import Entry
from headway.layers.tar_sparse import Map

_CLUSTER = 4096
_INLINE_LINK = 60  # a shorter target lies in the inode


class Footprint:
    """Sums of one tree.

    Attributes:
        size: Lengths of regular files, hard links once, and of symlink targets.
        disk: Bytes of the clusters that the tree takes up.
    """

    def __init__(self) -> None:
        self.size = 0
        self.disk = 0

    def add_file(self, entry: Entry) -> None:
        """Count a regular file."""
        self.size += entry.size
        if entry.sparse is None:
            self.disk += -(-entry.size // _CLUSTER) * _CLUSTER
        else:
            self.disk += _CLUSTER * _clusters(entry.sparse)

    def add_symlink(self, length: int) -> None:
        """Count a symlink with a target of `length` bytes."""
        self.size += length
        self.disk += _link_clusters(length)

    def add_directory(self) -> None:
        """Count a directory."""
        self.disk += _CLUSTER

    def remove(self, status: os.stat_result) -> None:
        """Stop counting what lstat said this of, just before it was removed."""
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            self.disk -= _CLUSTER
        elif kind == stat.S_IFLNK and status.st_nlink == 1:
            self.size -= status.st_size
            self.disk -= _link_clusters(status.st_size)
        elif kind == stat.S_IFREG and status.st_nlink == 1:
            self.size -= status.st_size
            self.disk -= min(-(-status.st_size // _CLUSTER), -(-status.st_blocks // 8)) * _CLUSTER


def _clusters(sparse: Map) -> int:
    """Return how many clusters have data; parts are in order and may share one."""
    count = done = 0
    for offset, length in sparse:
        if length:
            end = -(-(offset + length) // _CLUSTER)
            count += end - max(done, offset // _CLUSTER)
            done = end
    return count


def _link_clusters(length: int) -> int:
    return 0 if length < _INLINE_LINK else _CLUSTER
