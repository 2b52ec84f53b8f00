"""Hard links of a layer to files of the layers below it, made in the layer's derived tree.

Rule: a link makes its name the same file as what it links to, and as every other name that the layers below give that.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice

from headway.errors import InvalidLayerError
from headway.layers.trees.derived_report import Known
from headway.layers.trees.derived_tree import DerivedTree
from headway.layers.trees.directories import Directories
from headway.layers.trees.merged import MergedView
from headway.layers.trees.merged_entry import MergedEntry, join
from headway.layers.trees.whiteouts import is_whiteout

_NAMES = 1 << 16  # of lower files that links mean, looked for at once: a walk for each would cost the square of a layer


class LowerLinks:
    """Makes them.

    Args:
        below: The layers below.
        merged: Those, and the new tree above them.
        source: Opens the layer's own tree.
        made: The new tree.
        known: Takes note of what is known of a lower file.
        ensure: Makes a directory of the new tree, and those above it.

    Raises:
        InvalidLayerError: From `make`: the layer links to what no layer below has, or to a directory.
        OSError: From `make`: a system call failed.
    """

    def __init__(
        self,
        below: MergedView,
        merged: MergedView,
        source: Directories,
        made: DerivedTree,
        known: Known,
        *,
        ensure: Callable[[str], None],
    ) -> None:
        self._below = below
        self._merged = merged
        self._source = source
        self._made = made
        self._known = known
        self._ensure = ensure
        self._first_links: dict[tuple[int, int], str] = {}
        self._names: dict[tuple[int, int], list[str]] = {}

    def make(self, links: Sequence[tuple[str, str]]) -> None:
        """Make all, in the order of the layer's tar: each a name, and what it is a link to."""
        for number, (name, linked) in enumerate(links):
            self._make(name, linked, islice(links, number + 1, None))

    def _make(self, name: str, linked: str, following: Iterable[tuple[str, str]]) -> None:
        """Make `name` the same file as `linked` and as every other name that the lower layer gives that.

        Args:
            name: Of the link.
            linked: What it is a link to.
            following: The links that come next.
        """
        parent, _, last = name.rpartition("/")
        path = join(self._merged.resolve(parent, follow_last=True), last)
        target = self._merged.resolve(linked, follow_last=False)
        entry = self._linked_to(linked, target)
        if entry is None or entry.stored is None:
            raise InvalidLayerError(f"{name} is a hard link to {linked}, which no layer below has")
        if stat.S_ISDIR(entry.mode):
            raise InvalidLayerError(f"{name} is a hard link to {linked}, which is a directory")
        self._ensure(path.rpartition("/")[0])
        if path == target:
            return
        self._made.clear(path)
        if entry.tree == len(self._below.trees):
            self._made.link(target, path)
            return
        first = self._first_links.setdefault((entry.tree, entry.stored.st_ino), path)
        if first != path:
            self._made.link(first, path)
            return
        others = self._names_of(entry, entry.stored, following)
        self._made.copy(self._below.parent_of(entry), entry.name, entry.stored, path)
        self._known.inherited(path, entry, self._below)
        for other in others:
            if other != path:
                self._ensure(other.rpartition("/")[0])
                self._made.link(path, other)

    def _linked_to(self, linked: str, target: str) -> MergedEntry | None:
        """Return what a hard link means, which the layer did not have when the link came.

        Behind the link, the layer may have removed the name, or put something else there.
        """
        entry, below = self._merged.lstat(target), self._below.lstat(target)
        if entry is None and below is None:  # or have put a symlink in the place of a directory on the way
            return self._below.lstat(self._below.resolve(linked, follow_last=False))
        if below is None or stat.S_ISDIR(below.mode):
            return entry
        return below if entry is None or self._has(linked) else entry

    def _has(self, name: str) -> bool:
        """Tell whether the layer itself has something of this name."""
        parent, _, last = name.rpartition("/")
        try:
            return not is_whiteout(os.stat(last, dir_fd=self._source.open(0, parent), follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _names_of(self, entry: MergedEntry, status: os.stat_result, following: Iterable[tuple[str, str]]) -> list[str]:
        """Return the visible names of a lower file; its link count tells at once where there is only one."""
        names, key = [entry.path], (entry.tree, status.st_ino)
        if status.st_nlink > 1:
            if key not in self._names:
                self._find_names(key, following)
            names = self._names.pop(key)
        there = ((name, self._merged.lstat(name)) for name in names)
        return [name for name, found in there if found is not None and _is_same_file(found, entry.tree, status)]

    def _find_names(self, key: tuple[int, int], following: Iterable[tuple[str, str]]) -> None:
        """Look for the names that layers below give a file, and those that the links which follow mean."""
        self._names = {key: []}
        count = 0
        for _, linked in following:
            with suppress(InvalidLayerError):  # it may be none when its turn comes
                entry = self._linked_to(linked, self._merged.resolve(linked, follow_last=False))
                if entry is not None and entry.stored is not None and entry.stored.st_nlink > 1:
                    self._names[entry.tree, entry.stored.st_ino] = []
                    count += entry.stored.st_nlink
            if count > _NAMES:
                break
        for found in self._below.walk():
            if found.stored is not None and (names := self._names.get((found.tree, found.stored.st_ino))) is not None:
                names.append(found.path)


def _is_same_file(found: MergedEntry, tree: int, status: os.stat_result) -> bool:
    return found.tree == tree and found.stored is not None and os.path.samestat(found.stored, status)
