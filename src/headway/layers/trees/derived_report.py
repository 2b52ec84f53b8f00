"""Makes the report of a derived tree from the report of the layer's own tree, with names as they are in the new tree.

Rule: owners and modes that the disk does not show, in a rootless store, are reported for every name of a file.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from typing import TypeVar

from headway.layers.trees.merged import MergedView
from headway.layers.trees.merged_entry import MergedEntry, join
from headway.records import LayerReport

_T = TypeVar("_T")


class Known:
    """Collects what a derivation does with the entries of a layer, and makes the report of the new tree.

    Args:
        raw: Report of the layer's own tree.
    """

    def __init__(self, raw: LayerReport) -> None:
        self._raw = raw
        self._moved: dict[str, str] = {}
        self._inherited: list[tuple[str, MergedEntry, MergedView]] = []

    def moved(self, raw_path: str, path: str) -> None:
        """Note that the content of the layer's directory `raw_path` is now in `path`."""
        self._moved[raw_path] = path

    def inherited(self, path: str, entry: MergedEntry, view: MergedView) -> None:
        """Note that `path` has the owner, mode and attributes of an entry of the trees below, which `view` shows."""
        self._inherited.append((path, entry, view))

    def report(self, *, root_entry: bool, disk_bytes: int, links: Sequence[tuple[str, str]]) -> LayerReport:
        """Return the report of the new tree, without the number of its members; the tree stands alone.

        Args:
            root_entry: Whether a layer describes the root directory.
            disk_bytes: Bytes on disk that the new tree takes in addition to the layer's own tree.
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
    """Copy what is known of the first name of a file to another name that was linked to it."""
    if first in known:
        known[path] = known[first]
