"""What becomes of the bodies of a layer while it is unpacked: their digests, and where each can be read again.

Rule 1: a body is taken to be in the tree only where, at the end, the very file that it was written to has its name.
        Every other body is kept in the recipe: those that were never written, as they go by; those that are removed,
        just before; those that can be reached by another name alone, at the end.
Rule 2: bodies are matched with files by inode number. One that is used again belongs to the removed files in their
        order, and then to the one that is left.
Rule 3: as long as nothing was removed, a file is where it was put, and nobody asks for its inode number: that would be
        one more system call per file, and few layers remove what they hold.
"""

from __future__ import annotations

import os
from array import array
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from headway.errors import StoreError
from headway.layers.confinement import Root, clamped
from headway.layers.recipe_codec import best_codec, compressor, expanded
from headway.layers.recipe_columns import ROWS, Form
from headway.layers.recipe_format import PART, Column
from headway.layers.recipe_writer import RecipeWriter
from headway.layers.tree_files import ABSENT, TreeFiles, pieces

if TYPE_CHECKING:
    from hashlib import _Hash

_INODE = (1 << 63) - 1  # places are signed: a kept body has a negative one
_IN_TREE = 0  # a file that nobody asked for its inode
_LOST = (1 << 64) - 1  # no source


class Bodies:
    """The bodies of one layer, in their order.

    Args:
        writer: Takes their columns.

    Attributes:
        has_removed: Whether anything was removed from the tree.

    Raises:
        OSError: From every method: a system call failed.
    """

    def __init__(self, writer: RecipeWriter) -> None:
        self._writer = writer
        self._compress = compressor(best_codec())
        self._groups: list[tuple[bytes, int, array[int]]] = []  # of full groups: names, their length, places
        self._names: list[bytes] = []
        self._name_bytes = 0
        self._places = array("q")  # the inode, or ~ of an offset in what is kept
        self._digests = bytearray()
        self._sizes = array("Q")
        self._paths: list[bytes] = []
        self._path_bytes = 0
        self._kept = bytearray()
        self._kept_bytes = 0
        self.has_removed = False
        self._removed: defaultdict[int, deque[int]] = defaultdict(deque)  # by inode, offsets in what is kept
        # The body that goes by.
        self._left = 0
        self._hash: _Hash | None = None
        self._place: int | None = None

    # --- what goes by ---

    def begin(self, name: bytes, size: int, *, is_plain: bool) -> None:
        """Begin a body of `size` bytes, at least one.

        Args:
            name: Its entry's name, as in the archive.
            size: Its bytes.
            is_plain: Whether its header alone says both.
        """
        if len(self._names) >= ROWS or self._name_bytes >= PART:
            self._end_group()
        self._names.append(name)
        self._name_bytes += len(name) + 1
        self._left = size
        self._hash = None
        self._place = None
        if not is_plain:
            self._explain(clamped(name), size)

    def _explain(self, path: bytes, size: int) -> None:
        if len(self._paths) >= ROWS or self._path_bytes >= PART:
            self._flush_paths()
        self._sizes.append(size)
        self._paths.append(path)
        self._path_bytes += len(path) + 1

    def stored(self, descriptor: int) -> None:
        """Take note of the file that the body goes into; called before its first byte, or not at all."""
        self._place = os.fstat(descriptor).st_ino & _INODE if self.has_removed else _IN_TREE

    def removing(self, tree: Path) -> None:
        """Take note that something is about to be removed from the tree."""
        if not self.has_removed:
            self._look_up(tree)
            self.has_removed = True

    def _look_up(self, tree: Path) -> None:
        """Find the inode of every body in the tree, from which nothing was removed yet."""
        root = Root(tree, _make_nothing)
        try:
            for names, places in self._all():
                for number, (name, place) in enumerate(zip(names, places, strict=False)):
                    if place == _IN_TREE:
                        above, _, last = clamped(name).rpartition(b"/")
                        parent = root.directory(above, create=False)
                        places[number] = os.stat(last, dir_fd=parent, follow_symlinks=False).st_ino & _INODE
        finally:
            root.close()

    def _all(self) -> Iterator[tuple[list[bytes], array[int]]]:
        """Yield names and places of each group; the last one may have a name without a place: what goes by."""
        codec = best_codec()
        for names, length, places in self._groups:
            yield expanded(codec, names, length).split(b"\0"), places
        if self._names:
            yield self._names, self._places

    def content(self, view: memoryview) -> None:
        """Take the next bytes of the body."""
        place = self._place
        if place is None:
            place = self._place = ~self._kept_bytes
        if place < 0:
            self._keep(view)
        if self._hash is None:
            self._hash = sha256(view)
        else:
            self._hash.update(view)
        self._left -= len(view)
        if not self._left:
            self._places.append(place)
            self._digests += self._hash.digest()

    def removed(self, inode: int, content: Iterable[bytes]) -> None:
        """Keep the content of a file that is about to go for good."""
        self._removed[inode & _INODE].append(self._kept_bytes)
        for piece in content:
            self._keep(piece)

    def _keep(self, data: bytes | memoryview) -> None:
        self._kept += data
        self._kept_bytes += len(data)
        while len(self._kept) >= PART:
            self._writer.part(Column.KEPT, Form.VERBATIM, PART, bytes(self._kept[:PART]))
            del self._kept[:PART]

    def _end_group(self) -> None:
        names = b"\0".join(self._names)
        self._groups.append((self._compress(names), len(names), self._places))
        self._writer.part(Column.DIGESTS, Form.VERBATIM, len(self._names), bytes(self._digests))
        self._names.clear()
        self._name_bytes = 0
        self._places = array("q")
        self._digests.clear()

    def _flush_paths(self) -> None:
        self._writer.part(Column.PATHS, Form.TEXT, len(self._paths), b"\0".join(self._paths))
        self._paths.clear()
        self._path_bytes = 0

    # --- at the end ---

    def finish(self, tree: Path) -> None:
        """Find out where each body is now, and write what was not written yet.

        Raises:
            StoreError: A file is gone that nobody removed.
        """
        if self._names:
            self._end_group()
        if self._paths:
            self._flush_paths()
        self._writer.numbers(Column.SIZES, self._sizes)
        with TreeFiles(tree) as files:
            sources = array("Q", self._sources(files))
            if _LOST in sources:
                self.removing(tree)  # their inodes are needed now
                self._keep_lost(files, sources)
        if self._kept:
            self._writer.part(Column.KEPT, Form.VERBATIM, len(self._kept), bytes(self._kept))
        self._writer.numbers(Column.SOURCES, sources)

    def _sources(self, files: TreeFiles) -> Iterator[int]:
        """Yield the source of each body as `Column.SOURCES` has it; `_LOST` for one that is not where it was put."""
        find = self._changed if self.has_removed else _unchanged
        for names, places in self._all():
            yield from find(files, map(clamped, names), places)

    def _changed(self, files: TreeFiles, paths: Iterable[bytes], places: Iterable[int]) -> Iterator[int]:
        for path, place in zip(paths, places, strict=True):
            if place < 0:
                yield -place
            elif kept := self._removed.get(place):
                yield kept.popleft() + 1
            else:
                yield 0 if _inode(files, path) == place else _LOST

    def _keep_lost(self, files: TreeFiles, sources: array[int]) -> None:
        """Keep the bodies that have another name only: a hard link, or a path that goes through a symlink."""
        places = [place for _, _, group in self._groups for place in group]
        lost = {places[number]: number for number, source in enumerate(sources) if source == _LOST}
        for path, inode in files.walk():
            number = lost.pop(inode & _INODE, None)
            if number is not None:
                sources[number] = self._kept_bytes + 1
                with files.opened(path) as descriptor:
                    for piece in pieces(descriptor, PART):
                        self._keep(piece)
        if lost:
            raise StoreError("the layer's files were changed while it was unpacked")


def _unchanged(files: TreeFiles, paths: Iterable[bytes], places: Iterable[int]) -> Iterator[int]:
    """Do as `Bodies._changed` in a tree that nothing was removed from: what was put into a directory is still there."""
    last, is_there = b"", True
    for path, place in zip(paths, places, strict=True):
        above = path.rpartition(b"/")[0]
        if above != last:
            last, is_there = above, files.has_directory(above)
        if place < 0:
            yield -place
        else:
            yield 0 if is_there else _LOST


def _make_nothing(parent: int, name: bytes, path: bytes) -> None:
    raise AssertionError(f"{path!r} was there: {name!r} in {parent}")


def _inode(files: TreeFiles, path: bytes) -> int:
    try:
        return files.inode(path) & _INODE
    except OSError as error:
        if error.errno not in ABSENT:
            raise
        return -1
