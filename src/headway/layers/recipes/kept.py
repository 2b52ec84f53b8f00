"""Keeps, in a recipe, the bodies that a layer removes again, so that they are not looked for in its tree.

Rule 1: a body is in the tree where it was put, unless it is kept here: just before the last name of its file is
        removed, or at the end if the file has another name left.
Rule 2: each file is kept at most once, so that a recipe never holds more than the archive did.
Rule 3: as long as nothing is removed, this costs nothing: few layers remove what they hold. What was removed is matched
        with bodies at the end, by path and order, for a path holds one file at a time.
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

from headway.errors import StoreCorruptError, StoreError
from headway.layers.recipes.format import PART, Column
from headway.layers.recipes.steps import Body
from headway.layers.recipes.writer import RecipeWriter
from headway.layers.trees.directories import READ
from headway.layers.trees.files import TreeFiles, pieces

REMOVALS = 1 << 18
"""Most names that a layer may remove again and have a recipe: each takes 300 bytes of memory until the end."""


class _Removal:
    """One name of a file that was removed."""

    __slots__ = ("before", "inode", "kept")

    def __init__(self, before: int, inode: int) -> None:
        self.before = before  # bodies with a lower number came before
        self.inode = inode
        self.kept: int | None = None


class Kept:
    """The bodies that a recipe keeps.

    Args:
        writer: Writes them.
        most: How many names may be removed.

    Raises:
        OSError: From every method: a system call failed.
    """

    def __init__(self, writer: RecipeWriter, most: int = REMOVALS) -> None:
        self._writer = writer
        self._most = most
        self._count = 0
        self._data = bytearray()
        self._size = 0  # of all that was kept
        self._places: dict[int, int] = {}  # by number of the body
        self._removals: dict[bytes, list[_Removal]] = {}
        self._alive: dict[int, list[_Removal]] = {}  # those whose file has another name, by inode
        self._sparse: set[int] = set()  # inodes of files that are not what a body is

    @property
    def has_removals(self) -> bool:
        """Whether bodies have to be matched at the end."""
        return self._count > 0

    def sparse(self, descriptor: int) -> None:
        """Record a file whose content differs from its body."""
        self._sparse.add(os.fstat(descriptor).st_ino)

    def removing(self, parent: int, path: bytes, status: os.stat_result, before: int) -> None:
        """Keep a file whose last name is about to go; see `headway.layers.tar.observer.Observer`.

        Args:
            parent: Descriptor of its directory.
            path: Where it is.
            status: What lstat says of it.
            before: How many bodies came before the entry that it is removed for.
        """
        if not stat.S_ISREG(status.st_mode) or not status.st_size or not self._is_counted():
            return
        is_last = status.st_nlink == 1
        if status.st_ino in self._sparse:
            if is_last:
                self._sparse.discard(status.st_ino)
            return
        removal = _Removal(before, status.st_ino)
        self._removals.setdefault(path, []).append(removal)
        same = self._alive.setdefault(status.st_ino, [])
        same.append(removal)
        if is_last:
            del self._alive[status.st_ino]
            self._settle(same, parent, path.rpartition(b"/")[2])

    def _is_counted(self) -> bool:
        """Count a removal; if it is one too many, drop everything from memory and return False."""
        self._count += 1
        if self._count > self._most:
            self._removals.clear()
            self._alive.clear()
        return self._count <= self._most

    def _settle(self, removals: Iterable[_Removal], parent: int, name: bytes) -> None:
        descriptor = os.open(name, READ, dir_fd=parent)
        try:
            self._keep(removals, descriptor)
        finally:
            os.close(descriptor)

    def _keep(self, removals: Iterable[_Removal], descriptor: int) -> None:
        for removal in removals:
            removal.kept = self._size
        for piece in pieces(descriptor, PART):
            self._data += piece
            self._size += len(piece)
            while len(self._data) >= PART:
                self._writer.data(Column.KEPT, bytes(self._data[:PART]))
                del self._data[:PART]

    # --- at the end ---

    def match(self, bodies: Iterable[Body], tree: Path) -> None:
        """Find the bodies that were removed.

        Raises:
            StoreCorruptError: More were removed than a recipe remembers.
            StoreError: A file is gone that nobody removed.
        """
        if self._count > self._most:
            raise StoreCorruptError(f"the layer replaces more than {self._most} of its own files")
        found = [(body.number, removal) for body in bodies if (removal := self._removal(body)) is not None]
        if any(removal.kept is None for _, removal in found):
            self._keep_alive({removal.inode for _, removal in found if removal.kept is None}, tree)
        for number, removal in found:
            if removal.kept is None:
                raise StoreError("the layer's files were changed while it was unpacked")
            self._places[number] = removal.kept

    def _removal(self, body: Body) -> _Removal | None:
        """Return the removal that ended a body's stay at its path."""
        removals = self._removals.get(body.path, [])
        place = bisect_right(removals, body.number, key=lambda removal: removal.before)
        return removals[place] if place < len(removals) else None

    def _keep_alive(self, inodes: set[int], tree: Path) -> None:
        """Keep the files whose own name is gone, and that have another one."""
        with TreeFiles(tree) as files:
            for path, status in files.walk():
                if status.st_ino in inodes:
                    inodes.discard(status.st_ino)
                    with files.opened(path) as descriptor:
                        self._keep(self._alive[status.st_ino], descriptor)

    def finish(self) -> None:
        """Write everything not yet written."""
        self._writer.data(Column.KEPT, bytes(self._data))
        numbers = sorted(self._places)
        self._writer.numbers(Column.KEPT_BODIES, numbers)
        self._writer.numbers(Column.KEPT_AT, [self._places[number] for number in numbers])
