"""Makes a recipe while a layer is unpacked.

Rule 1: nothing is done for an entry that can be done for a piece of the archive, which holds some hundred: the reader
        notes where bodies begin, and the rest follows from that when the piece has been used.
Rule 2: what the archive holds is written down as it goes by; nothing of an entry stays in memory.
Rule 3: every block that has the checksum of a header is one, whatever it means; everything else between bodies is raw.
        So any archive comes back, and what it means matters for nothing but the path of a body.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from operator import add, sub
from pathlib import Path
from typing import Self

from headway.crc32 import crc32
from headway.layers.failures import disk_failures
from headway.layers.recipes.codec import Codec
from headway.layers.recipes.format import PART, Op
from headway.layers.recipes.kept import REMOVALS, Kept
from headway.layers.recipes.recipe import Recipe
from headway.layers.recipes.rows import Rows
from headway.layers.recipes.steps import bodies
from headway.layers.recipes.writer import RecipeWriter
from headway.layers.tar.entry import Entry
from headway.layers.tar.header import BLOCK, checksum_matches
from headway.layers.tar.observer import EXTENSION, OTHER, Mark
from headway.layers.trees.confinement import clamped
from headway.oci.digest import DiffID

_ZEROS = bytes(BLOCK)
_RAW = EXTENSION  # the bit of a step that says that its content is no body in the tree


class Recorder:
    """An `Observer` that writes the recipe of the layer that goes by. A context manager.

    Args:
        path: Where the recipe will be: a new file outside the tree.
        tree: The directory that the layer is unpacked into.
        codec: How the recipe is compressed; None takes the best there is.
        removals: How many of its own files the layer may remove again.

    Attributes:
        marks: See `headway.layers.tar.observer.Observer`.

    Raises:
        StoreFullError: No space left.
        StoreError: The disk failed.
        OSError: From the methods of an `Observer`: a system call failed.
    """

    def __init__(self, path: Path, tree: Path, *, codec: Codec | None = None, removals: int = REMOVALS) -> None:
        self._path = path
        self._tree = tree
        with disk_failures(f"the recipe {path}"):
            self._writer = RecipeWriter(path, codec)
        self._size = 0  # of the tar
        self._rows = Rows()
        self._kept = Kept(self._writer, removals)
        self._pending = b""  # bytes that are no body and were not looked at yet
        self._padding = 0  # how many of those should be the zeros behind a body
        self._left = 0  # bytes of a body that come in the next piece
        self._is_raw = False  # whether that body is none in the tree
        # Of the piece that is being used; the first one's header may have begun before it.
        self.marks: list[Mark] = []
        self._other: dict[int, bytes] = {}  # paths of bodies that their header does not describe, by mark
        self._counted = 0  # marks whose bodies are counted in:
        self._bodies = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    # --- what is told of an entry ---

    def other(self, entry: Entry) -> None:
        """See `headway.layers.tar.observer.Observer`."""
        self._other[len(self.marks) - 1] = clamped(entry.name)
        if entry.sparse is not None:
            self.nowhere()  # the body is not what the file holds

    def elsewhere(self, path: bytes) -> None:
        """See `headway.layers.tar.observer.Observer`."""
        self._change(OTHER)
        self._other[len(self.marks) - 1] = path

    def nowhere(self) -> None:
        """See `headway.layers.tar.observer.Observer`."""
        self._change(_RAW)

    def _change(self, bit: int) -> None:
        at, size, step = self.marks[-1]
        self.marks[-1] = at, size, step | bit

    def sparse(self, descriptor: int) -> None:
        """See `headway.layers.tar.observer.Observer`."""
        self._kept.sparse(descriptor)

    def removing(self, parent: int, path: bytes, status: os.stat_result) -> None:
        """See `headway.layers.tar.observer.Observer`."""
        self._count(max(0, len(self.marks) - 1))
        self._kept.removing(parent, path, status, self._bodies)

    def _count(self, end: int) -> None:
        """Count the bodies before the mark `end`."""
        self._bodies += sum(size > 0 and not step & _RAW for _, size, step in islice(self.marks, self._counted, end))
        self._counted = end

    # --- pieces ---

    def piece(self, piece: bytes) -> None:
        """See `headway.layers.tar.observer.Observer`."""
        self._size += len(piece)
        start = self._go_on(piece) if self._left else 0
        if self.marks:
            self._use(piece, start)
            self._count(len(self.marks))
            self.marks.clear()
            self._other.clear()
            self._counted = 0
        elif start < len(piece):
            self._pending += piece[start:] if start else piece
            if len(self._pending) > PART:
                self._drain()
        if self._rows.are_many:
            self._flush()

    def _go_on(self, piece: bytes) -> int:
        """Take what is left of a body; return where it ends."""
        end = min(self._left, len(piece))
        view = memoryview(piece)[:end]
        self._left -= end
        if self._is_raw:
            self._rows.raw += view
        else:
            self._rows.checks[-1] = crc32(view, self._rows.checks[-1])
        return end

    def _use(self, piece: bytes, start: int) -> None:
        """Take a piece in which bodies begin; `start` is where what comes before the first one does."""
        ats, sizes, steps = zip(*self.marks, strict=True)
        ends = list(map(add, ats, sizes))
        paddings = [-size % BLOCK for size in sizes]
        first = self._pending + piece[start : ats[0]]
        if self._other or not self._add_headers(piece, first, ats, ends, paddings):
            gaps = [first, *[piece[end:at] for end, at in zip(ends, ats[1:], strict=False)]]
            self._describe(piece, gaps, (self._padding, *paddings))
        else:
            self._rows.ops += bytes(steps)
            if EXTENSION in steps:
                self._rows.raw += b"".join([piece[at : at + size] for at, size, step in self.marks if step & _RAW])
        view = memoryview(piece)
        self._rows.checks += [crc32(view[at : at + size]) for at, size, step in self.marks if size and not step & _RAW]
        self._padding = paddings[-1]
        self._pending = piece[ends[-1] :]
        self._left = max(0, ends[-1] - len(piece))
        self._is_raw = bool(steps[-1] & _RAW)

    def _add_headers(
        self, piece: bytes, first: bytes, ats: Sequence[int], ends: Sequence[int], paddings: Sequence[int]
    ) -> bool:
        """Take every header, if before each there is nothing but the zeros behind a body, as is nearly always so."""
        begins = [at - BLOCK for at in ats[1:]]
        if len(first) != self._padding + BLOCK or list(map(sub, begins, ends)) != paddings[:-1]:
            return False
        zeros = b"".join([first[:-BLOCK], *[piece[end:at] for end, at in zip(ends, begins, strict=False)]])
        if zeros != bytes(len(zeros)):
            return False
        self._rows.headers += b"".join([first[-BLOCK:], *[piece[at : at + BLOCK] for at in begins]])
        return True

    # --- what is not ordinary ---

    def _describe(self, piece: bytes, gaps: Sequence[bytes], paddings: Sequence[int]) -> None:
        """Write down, one by one, what lies before bodies, and which bodies those are."""
        for number, ((at, size, step), gap, padding) in enumerate(zip(self.marks, gaps, paddings, strict=False)):
            if step & OTHER:
                self._split(gap, padding)
                self._rows.add_body(size, b"" if step & _RAW else self._other[number])
            else:
                self._split(gap[:-BLOCK], padding)
                self._rows.ops.append(step)
                self._rows.headers += gap[-BLOCK:]
            if step & _RAW:
                self._rows.raw += piece[at : at + size]

    def _drain(self) -> None:
        """Split the whole blocks of what waits."""
        end = len(self._pending) - (len(self._pending) - self._padding) % BLOCK
        data, self._pending = self._pending[:end], self._pending[end:]
        self._split(data, self._padding)
        self._padding = 0

    def _split(self, data: bytes, padding: int) -> None:
        """Write down bytes that are no body, the first of which should be zeros behind one."""
        zeros, rest = data[:padding], data[padding:]
        if zeros != _ZEROS[:padding]:
            self._rows.ops.append(Op.UNPADDED)
            self._rows.add_raw(zeros)
        if rest == bytes(len(rest)):
            self._rows.add_raw(rest)
            return
        for at in range(padding, len(data), BLOCK):
            block = data[at : at + BLOCK]
            if _is_header(block):
                self._rows.ops.append(Op.HEADER)
                self._rows.headers += block
            else:
                self._rows.add_raw(block)

    def _flush(self) -> None:
        self._rows.write(self._writer, is_open=self._left > 0 and not self._is_raw)

    def finish(self, diff_id: DiffID) -> int:
        """Complete the recipe: the whole tar went by, and the tree is as it will be committed.

        Returns:
            Bytes of the recipe.

        Raises:
            StoreCorruptError: There is no recipe for such a layer.
            StoreFullError: No space left.
            StoreError: The disk failed, or somebody else changed the tree.
        """
        with disk_failures(f"the recipe of {diff_id}"):
            self._split(self._pending, self._padding)
            self._flush()
            if self._kept.has_removals:
                self._writer.finish(diff_id, self._size)
                with Recipe(self._path) as recipe:
                    self._kept.match(bodies(recipe), self._tree)
            self._kept.finish()
            self._writer.finish(diff_id, self._size)
        return self._writer.size


def _is_header(block: bytes) -> bool:
    if len(block) != BLOCK:
        return False
    with suppress(ValueError):
        return checksum_matches(block, 0, block[148:156])
    return False
