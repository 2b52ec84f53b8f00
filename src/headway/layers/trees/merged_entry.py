"""One name in a merged file system, as its layer describes it.

Rule: whatever a store without root could not put on disk (`LayerReport`) counts as if it were there.
"""

from __future__ import annotations

import os
import stat

import msgspec

from headway.records import LayerReport


class MergedEntry(msgspec.Struct, frozen=True):
    """One name in the merged file system.

    Attributes:
        path: Relative, ``/``-separated, decoded with surrogateescape; empty for the root.
        tree: Index of the tree it comes from, bottom first; -1 for a root directory that no layer describes.
        stored: What is on disk; None for a device or a root directory that is only described.
        mode: Type and permissions as the layer has them.
        uid: Owner as the layer has it.
        gid: Group as the layer has it.
        rdev: Device number of a device node.
    """

    path: str
    tree: int
    stored: os.stat_result | None
    mode: int
    uid: int
    gid: int
    rdev: int = 0

    @property
    def parent(self) -> str:
        """The path of the directory it is in."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The last component of the path."""
        return self.path.rpartition("/")[2]

    @property
    def mtime_ns(self) -> int:
        """Time of the last change in nanoseconds since the epoch; 0 if unknown, as in umoci."""
        return self.stored.st_mtime_ns if self.stored else 0


class Described:
    """What a tree's report says about names that are not on disk as the layer has them."""

    def __init__(self, report: LayerReport) -> None:
        self.modes = dict(report.real_modes)
        self.owners = {name: (uid, gid) for name, uid, gid in report.owners}
        self.xattrs: dict[str, dict[str, bytes]] = {}
        for name, key, value in report.xattrs:
            self.xattrs.setdefault(name, {})[key] = value
        self.devices: dict[str, dict[str, tuple[int, int]]] = {}
        for name, mode, major, minor in report.devices:
            parent, _, last = name.rpartition("/")
            self.devices.setdefault(parent, {})[last] = (mode, os.makedev(major, minor))
        self.is_empty = not (self.modes or self.owners or self.xattrs or self.devices)

    def entry(self, path: str, tree: int, stored: os.stat_result) -> MergedEntry:
        """Return the entry for what is on disk at `path`, as the layer has it."""
        if self.is_empty:
            return MergedEntry(path, tree, stored, stored.st_mode, stored.st_uid, stored.st_gid, stored.st_rdev)
        mode = self.modes.get(path)
        mode = stored.st_mode if mode is None else stat.S_IFMT(stored.st_mode) | stat.S_IMODE(mode)
        uid, gid = self.owners.get(path, (stored.st_uid, stored.st_gid))
        return MergedEntry(path, tree, stored, mode, uid, gid, stored.st_rdev)

    def device(self, parent: str, name: str, tree: int) -> MergedEntry | None:
        """Return the entry for a device node that is only described; None if there is none."""
        known = self.devices.get(parent, {}).get(name)
        if known is None:
            return None
        path = join(parent, name)
        return MergedEntry(path, tree, None, known[0], *self.owners.get(path, (0, 0)), known[1])


def join(parent: str, name: str) -> str:
    """Return the path of `name` in `parent`, which is empty for the root."""
    return f"{parent}/{name}" if parent else name
