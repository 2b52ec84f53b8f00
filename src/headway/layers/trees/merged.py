"""What a stack of trees looks like as one file system, without mounting it.

Rule 1: the overlay file system's meaning, exactly: a whiteout hides what lies below, an opaque directory
        hides the content of the directories below, a directory merges with directories only, the topmost
        entry gives the metadata.
Rule 2: no symlink is ever followed by the kernel: what is looked at lies in a directory that `directories` has opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import Self, TypeAlias

from headway.errors import InvalidLayerError
from headway.layers.failures import disk_failures
from headway.layers.trees.directories import READ, Directories
from headway.layers.trees.merged_entry import Described, MergedEntry
from headway.layers.trees.whiteouts import is_opaque, is_whiteout
from headway.layers.trees.xattrs import in_directory, read_xattrs
from headway.records import Tree

_MAX_SYMLINKS = 255  # as many as umoci follows
_MAX_NAME_BYTES = 255


Spot: TypeAlias = tuple[MergedEntry, tuple[int, ...]]
"""An entry, and the trees (topmost first) that give its content; none for what is no directory."""


class MergedView:
    """The merged file system of some trees, bottom first. One thread uses it; it must be closed.

    Raises:
        StoreError: When it is made, and from `walk`, `lstat`, `resolve` and `lookup`: the disk failed.
        OSError: From every other method, which looks at one thing that was found: a system call failed.
    """

    def __init__(self, trees: Sequence[Tree]) -> None:
        self.trees = tuple(trees)
        self._described = [Described(tree.report) for tree in trees]
        self._every = tuple(range(len(trees) - 1, -1, -1))
        with disk_failures("the layers' trees"):
            self._directories = Directories([tree.path for tree in trees])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._directories.close()

    def walk(self) -> Iterator[MergedEntry]:
        """Yield every entry: the root first, a directory before its content, names in order."""
        with disk_failures("the layers' trees"):
            pending = [self.start()]
            while pending:
                spot = pending.pop()
                yield spot[0]
                pending.extend(reversed(self.inside(spot)))

    def start(self) -> Spot:
        """Return the root, for `inside`."""
        return self.root(), self._every

    def inside(self, spot: Spot) -> list[Spot]:
        """Return what is in a directory, by name; nothing where it is no directory."""
        entry, stack = spot
        return self._content(entry.path, self._visible(entry.path, stack)) if stack else []

    def root(self) -> MergedEntry:
        """Return the root: as the topmost layer that describes it, else 0755, ours, and of the epoch."""
        for tree in self._every:
            if self.trees[tree].report.root_entry:
                return self._described[tree].entry("", tree, os.stat(self._directories.open(tree, "")))
        return MergedEntry("", -1, None, stat.S_IFDIR | 0o755, os.geteuid(), os.getegid())

    def lstat(self, path: str) -> MergedEntry | None:
        """Return what is at `path`, whose directories are taken literally; None where there is nothing."""
        with disk_failures(path):
            spot: Spot | None = self.start()
            for name in path.split("/") if path else ():
                spot = self._step(spot, name)
            return spot[0] if spot else None

    def resolve(self, path: str, *, follow_last: bool) -> str:
        """Return where `path` leads, symlinks followed inside the root; what is missing is taken literally.

        Raises:
            InvalidLayerError: More than 255 symlinks.
        """
        todo = path.split("/")[::-1]
        done: list[str] = []
        spots: list[Spot | None] = [self.start()]  # of the root and of each of `done`
        followed = 0
        with disk_failures(path):
            while todo:
                name = todo.pop()
                if name == "..":
                    if done:
                        done.pop()
                        spots.pop()
                elif name not in ("", "."):
                    spot = self._step(spots[-1], name)
                    if spot is None or not stat.S_ISLNK(spot[0].mode) or not (todo or follow_last):
                        done.append(name)
                        spots.append(spot)
                        continue
                    followed += 1
                    if followed > _MAX_SYMLINKS:
                        raise InvalidLayerError(f"too many symbolic links at {path}")
                    target = self.read_link(spot[0])
                    if target.startswith("/"):
                        done.clear()
                        del spots[1:]
                    todo.extend(target.split("/")[::-1])
        return "/".join(done)

    def lookup(self, path: str) -> MergedEntry | None:
        """Return what `path` leads to, following symlinks inside the root; None where there is nothing."""
        return self.lstat(self.resolve(path, follow_last=True))

    def read_link(self, entry: MergedEntry) -> str:
        """Return where a symlink points."""
        return os.readlink(entry.name, dir_fd=self.parent_of(entry))

    def open_file(self, entry: MergedEntry) -> int:
        """Return a descriptor to read a regular file or to list a directory; the caller closes it."""
        if not entry.path:
            return os.dup(self._directories.open(entry.tree, ""))
        return os.open(entry.name, READ, dir_fd=self.parent_of(entry))

    def parent_of(self, entry: MergedEntry) -> int:
        """Return a descriptor of the directory on disk that an entry is in, valid until the next call."""
        return self._directories.open(entry.tree, entry.parent)

    def xattrs(self, entry: MergedEntry, descriptor: int | None = None) -> dict[str, bytes]:
        """Return an entry's extended attributes as the layer has them; `descriptor` is its file, if open."""
        if entry.stored is None:
            stored: dict[str, bytes] = {}
        elif descriptor is not None:
            stored = read_xattrs(descriptor)
        elif entry.path:
            stored = read_xattrs(in_directory(self.parent_of(entry), entry.name))
        else:
            stored = read_xattrs(self._directories.open(entry.tree, ""))
        return stored | self.described_xattrs(entry)

    def described_xattrs(self, entry: MergedEntry) -> dict[str, bytes]:
        """Return the extended attributes that the store could not set on an entry."""
        return self._described[entry.tree].xattrs.get(entry.path, {}) if entry.tree >= 0 else {}

    def _step(self, spot: Spot | None, name: str) -> Spot | None:
        """Return what has a name in a directory; None where that is none."""
        if spot is None or not spot[1] or len(os.fsencode(name)) > _MAX_NAME_BYTES:
            return None
        entry, stack = spot
        return self._merge(entry.path, name, self._visible(entry.path, stack))

    def _content(self, path: str, stack: tuple[int, ...]) -> list[Spot]:
        holders: dict[str, list[int]] = {}
        for tree in stack:
            names = os.listdir(self._directories.open(tree, path))
            described = self._described[tree].devices.get(path)
            for name in names if described is None else {*names, *described}:
                holders.setdefault(name, []).append(tree)
        merged = (self._merge(path, name, holders[name]) for name in sorted(holders))
        return [found for found in merged if found is not None]

    def _merge(self, path: str, name: str, holders: Sequence[int]) -> Spot | None:
        """Return what `holders` (topmost first) make of a name, and the trees that give its content."""
        top: MergedEntry | None = None
        stack: list[int] = []
        for tree in holders:
            entry = self._stored(tree, path, name)
            if entry is None:
                continue
            if stat.S_ISDIR(entry.mode):
                stack.append(tree)
                top = top or entry
                continue
            if top is None and not (entry.stored is not None and is_whiteout(entry.stored)):
                top = entry
            break
        return None if top is None else (top, tuple(stack))

    def _stored(self, tree: int, path: str, name: str) -> MergedEntry | None:
        described = self._described[tree]
        try:
            stored = os.stat(name, dir_fd=self._directories.open(tree, path), follow_symlinks=False)
        except FileNotFoundError:
            return described.device(path, name, tree)
        if is_whiteout(stored) and (device := described.device(path, name, tree)) is not None:
            return device  # a layer's own 0:0
        return described.entry(f"{path}/{name}" if path else name, tree, stored)

    def _visible(self, path: str, stack: tuple[int, ...]) -> tuple[int, ...]:
        """Cut `stack` (topmost first) below the first tree in which the directory is opaque."""
        for index, tree in enumerate(stack[:-1]):
            if is_opaque(self._directories.open(tree, path)):
                return stack[: index + 1]
        return stack
