"""What a read-write layer has changed, as `docker diff` tells it (moby-behaviour 4.9).

Rule 1: two merged views are compared, the one with the layer and the one without it, by Moby's rules: mode, owner,
        device number, and of what is no directory size and time; of a file its capability. No content is read.
Rule 2: what both views have from the same tree is the same, and nobody looks into it: with overlay2 the cost is
        that of the changed directories, not of the image.
Rule 3: a change shows in every directory above it. The root itself is never told.
Rule 4: somebody may be at work in a container: of a directory that goes meanwhile nothing more is told.
"""

from __future__ import annotations

import os
import stat

from headway.container_records import Change, ChangeKind
from headway.layers.failures import disk_failures
from headway.layers.trees.files import LeftOut
from headway.layers.trees.merged import MergedView, Spot
from headway.layers.trees.merged_entry import MergedEntry

_CAPABILITY = "security.capability"
_SECOND_NS = 1_000_000_000


def compare(
    below: MergedView,
    above: MergedView,
    *,
    shared: int = 0,
    written: bool = False,
    attributes: bool = False,
    rootless: bool = False,
) -> list[Change]:
    """Return how `above` differs from `below`, sorted by the bytes of the path.

    Args:
        below: Without the layer.
        above: With it.
        shared: How many trees, from the bottom, both views have.
        written: Whether all that is in no shared tree counts as changed: a file's content may be another though its
            size and time are the same, it may have become another name of a file, a directory may have another time.
        attributes: Whether every extended attribute counts, and not a file's capability alone.
        rootless: Whether `above` was written by a user who could neither give files away nor make devices; what that
            user could not do is no change.

    Raises:
        StoreError: The disk failed.
    """
    comparison = _Comparison(below, above, shared=shared, written=written, attributes=attributes, rootless=rootless)
    with disk_failures("a container's files, or those below them"):
        comparison.run()
    return comparison.changes()


class _Comparison:
    def __init__(
        self,
        below: MergedView,
        above: MergedView,
        *,
        shared: int,
        written: bool,
        attributes: bool,
        rootless: bool,
    ) -> None:
        self._below = below
        self._above = above
        self._shared = shared
        self._written = written
        self._attributes = attributes
        self._rootless = rootless
        self._found: dict[str, ChangeKind] = {}

    def run(self) -> None:
        pending: list[tuple[Spot | None, Spot]] = [(self._below.start(), self._above.start())]
        while pending:
            was, now = pending.pop()
            pending += self._inside(was, now)

    def changes(self) -> list[Change]:
        found = dict(self._found)
        for path in self._found:
            while path := path.rpartition("/")[0]:
                if found.setdefault(path, ChangeKind.MODIFIED) is not ChangeKind.MODIFIED:
                    break
        return [Change("/" + path, found[path]) for path in sorted(found, key=os.fsencode)]

    def _inside(self, was: Spot | None, now: Spot) -> list[tuple[Spot | None, Spot]]:
        """Note what differs in a directory; return the pairs to look into."""
        inside = self._inside_now(now)
        if inside is None:
            return []
        before = {entry.name: (entry, stack) for entry, stack in self._below.inside(was)} if was else {}
        pairs: list[tuple[Spot | None, Spot]] = []
        for spot in inside:
            old = before.pop(spot[0].name, None)
            if old is not None and self._is_shared(old[0], spot[0]):
                continue
            self._note(old and old[0], spot[0])
            pairs.append((old if spot[1] else None, spot))
        for entry, _ in before.values():
            if not self._could_not_be_made(entry):
                self._found[entry.path] = ChangeKind.DELETED
        return pairs

    def _inside_now(self, spot: Spot) -> list[Spot] | None:
        """Return what is in a directory of the layer; None where that is gone by now."""
        with LeftOut():
            return self._above.inside(spot)
        return None

    def _is_shared(self, was: MergedEntry, now: MergedEntry) -> bool:
        return was.tree == now.tree and now.tree < self._shared

    def _note(self, was: MergedEntry | None, now: MergedEntry) -> None:
        if was is None:
            self._found[now.path] = ChangeKind.ADDED
        elif self._is_written(now) or self._differs(was, now):
            self._found[now.path] = ChangeKind.MODIFIED

    def _is_written(self, now: MergedEntry) -> bool:
        return self._written and now.tree >= self._shared

    def _differs(self, was: MergedEntry, now: MergedEntry) -> bool:
        if was.mode != now.mode or _device(was) != _device(now):
            return True
        if not self._rootless and (was.uid, was.gid) != (now.uid, now.gid):
            return True
        if self._attributes and self._has_other_attributes(was, now):
            return True
        if stat.S_ISDIR(now.mode):
            return False
        if _size(was) != _size(now) or not _same_time(was.mtime_ns, now.mtime_ns):
            return True
        if self._rootless or self._attributes or not stat.S_ISREG(now.mode):
            return False
        return self._below.xattrs(was).get(_CAPABILITY) != self._xattrs_now(now).get(_CAPABILITY)

    def _has_other_attributes(self, was: MergedEntry, now: MergedEntry) -> bool:
        """Tell whether attributes differ; what the store could not set, a copy of it has not lost."""
        hidden = self._below.described_xattrs(was)
        after = self._xattrs_now(now)
        before = {key: value for key, value in self._below.xattrs(was).items() if key in after or key not in hidden}
        return before != after

    def _xattrs_now(self, entry: MergedEntry) -> dict[str, bytes]:
        with LeftOut():
            return self._above.xattrs(entry)
        return {}

    def _could_not_be_made(self, entry: MergedEntry) -> bool:
        return self._rootless and (stat.S_ISCHR(entry.mode) or stat.S_ISBLK(entry.mode))


def _device(entry: MergedEntry) -> int:
    return entry.rdev if stat.S_ISCHR(entry.mode) or stat.S_ISBLK(entry.mode) else 0


def _size(entry: MergedEntry) -> int:
    return entry.stored.st_size if entry.stored else 0


def _same_time(one: int, other: int) -> bool:
    """Compare whole seconds where either time has no fraction: some archives and file systems keep none."""
    if one == other:
        return True
    fractions = one % _SECOND_NS and other % _SECOND_NS
    return not fractions and one // _SECOND_NS == other // _SECOND_NS
