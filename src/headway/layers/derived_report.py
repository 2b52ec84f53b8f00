"""What is known of a derived tree: what the layer's own report says, by the names that its entries have there.

Rule: what the disk cannot say of a file (owners and modes in a store that is not root's) is told of each of its names.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from typing import TypeVar

from headway.layers.merged import MergedView
from headway.layers.merged_entry import MergedEntry, join
from headway.records import LayerReport

_T = TypeVar("_T")


class Known:
    """Takes note of where a derivation puts things, and reports what comes of it.

    Args:
        raw: Of the layer's own tree.
    """

    def __init__(self, raw: LayerReport) -> None:
        self._raw = raw
        self._moved: dict[str, str] = {}
        self._inherited: list[tuple[str, MergedEntry, MergedView]] = []

    def moved(self, raw_path: str, path: str) -> None:
        """Note that the content of the layer's directory `raw_path` is in `path`."""
        self._moved[raw_path] = path

    def inherited(self, path: str, entry: MergedEntry, view: MergedView) -> None:
        """Note that what is at `path` is like an entry of the trees below, which `view` shows."""
        self._inherited.append((path, entry, view))

    def report(self, *, root_entry: bool, disk_bytes: int, links: Sequence[tuple[str, str]]) -> LayerReport:
        """Return the report of the new tree, but for its members.

        Args:
            root_entry: Whether a layer describes its root.
            disk_bytes: What it takes beyond the layer's own tree.
            links: As `DerivedTree.links`.
        """
        raw = self._raw
        modes = {self._now_at(name): mode for name, mode in raw.real_modes}
        owners = {self._now_at(name): (uid, gid) for name, uid, gid in raw.owners}
        xattrs: dict[str, dict[str, bytes]] = {}
        for name, key, value in raw.xattrs:
            xattrs.setdefault(self._now_at(name), {})[key] = value
        for path, entry, view in self._inherited:
            stored = entry.stored
            if stored is not None and entry.mode != stored.st_mode:
                modes[path] = stat.S_IMODE(entry.mode)
            if stored is not None and (entry.uid, entry.gid) != (stored.st_uid, stored.st_gid):
                owners[path] = (entry.uid, entry.gid)
            xattrs.setdefault(path, {}).update(view.described_xattrs(entry))
        for first, path in links:
            _tell_of_link(modes, first, path)
            _tell_of_link(owners, first, path)
            _tell_of_link(xattrs, first, path)
        return LayerReport(
            size=raw.size,
            disk_bytes=disk_bytes,
            entries=raw.entries,
            root_entry=root_entry,
            real_modes=tuple(modes.items()),
            owners=tuple((name, uid, gid) for name, (uid, gid) in owners.items()),
            devices=tuple((self._now_at(name), mode, major, minor) for name, mode, major, minor in raw.devices),
            xattrs=tuple((name, key, value) for name, each in xattrs.items() for key, value in each.items()),
        )

    def _now_at(self, name: str) -> str:
        """Return where the entry that the layer's report calls `name` is in the new tree."""
        above = name
        while above:
            above = above.rpartition("/")[0]
            if above in self._moved:
                return join(self._moved[above], name[len(above) + 1 :])
        return name


def _tell_of_link(known: dict[str, _T], first: str, path: str) -> None:
    """Note of a name that was linked what is known of the one it was linked to."""
    if first in known:
        known[path] = known[first]
