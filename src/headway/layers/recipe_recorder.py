"""Makes a recipe while a layer is unpacked.

Rule 1: what the archive holds is written down as it goes by; nothing of an entry stays in memory but a few bytes.
Rule 2: every block that has the checksum of a header is one, whatever it means; everything else between bodies is raw.
        So any archive comes back, and what it means matters for nothing but the path of a body.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from headway.layers.copying import disk_failures
from headway.layers.recipe_bodies import Bodies
from headway.layers.recipe_codec import Codec
from headway.layers.recipe_columns import ROWS, Form, split_headers
from headway.layers.recipe_format import PART, Column, Op
from headway.layers.recipe_writer import RecipeWriter
from headway.layers.tar_entry import Entry
from headway.layers.tar_header import BLOCK, checksum_matches
from headway.layers.tree_files import pieces
from headway.oci.digest import DiffID

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPS = 1 << 16
_ZEROS = bytes(BLOCK)
_HEADER, _PLAIN_BODY, _BODY = int(Op.HEADER), int(Op.PLAIN_BODY), int(Op.BODY)  # an enum's are slow to look up


class Recorder:
    """An `Observer` that writes the recipe of the layer that goes by. A context manager.

    Args:
        path: Where the recipe will be: a new file outside the tree.
        tree: The directory that the layer is unpacked into.
        codec: How the recipe is compressed; None takes the best there is.

    Raises:
        StoreFullError: No space left.
        StoreError: The disk failed.
        OSError: From the methods of an `Observer`: a system call failed.
    """

    def __init__(self, path: Path, tree: Path, *, codec: Codec | None = None) -> None:
        self._path = path
        self._tree = tree
        with disk_failures(f"the recipe {path}"):
            self._writer = RecipeWriter(path, codec)
        self._size = 0  # of the tar, but for what was not flushed
        self._ops = bytearray()
        self._headers = bytearray()
        self._raw = bytearray()
        self._lengths = array("Q")
        self._bodies = Bodies(self._writer)
        self._pending = b""  # bytes that are no body and were not looked at yet
        self._padding = 0  # how many of those should be the zeros behind a body
        self._steps = 0  # since the last entry
        self._sparse: set[int] = set()
        self._entry: Entry | None = None
        self.content: Callable[[memoryview], None] = self._bodies.content

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    # --- what goes by ---

    def raw(self, data: bytes) -> None:
        """See `headway.layers.tar.Observer`."""
        if not self._pending:
            self._pending = data
            return
        self._pending += data
        if len(self._pending) > PART:
            self._drain()

    def body(self, entry: Entry, size: int) -> None:
        """See `headway.layers.tar.Observer`."""
        data, padding = self._pending, self._padding
        if len(data) == padding + BLOCK and not self._steps and data.startswith(_ZEROS[:padding]):
            # Nearly always: zeros behind the body before, and one header, whose checksum the reader has seen.
            self._headers += data[padding:]
            self._ops.append(_HEADER)
            self._pending = b""
            self._padding = 0
            is_plain = not entry.pax and entry.sparse is None
        else:
            self._drain()
            is_plain = self._steps == 1 and not entry.pax and entry.sparse is None
        self._steps = 0
        self._entry = entry
        if size:
            self._padding = -size % BLOCK
            self._size += size + self._padding
            self._ops.append(_PLAIN_BODY if is_plain else _BODY)
            self._bodies.begin(entry.name, size, is_plain=is_plain)
        if len(self._headers) >= ROWS * BLOCK:
            self._flush_headers()

    def stored(self, descriptor: int) -> None:
        """See `headway.layers.tar.Observer`."""
        if self._entry is not None and self._entry.sparse is not None:
            self._sparse.add(os.fstat(descriptor).st_ino)  # the body is not what the file holds
        else:
            self._bodies.stored(descriptor)

    def removing(self, parent: int, name: bytes, status: os.stat_result) -> None:
        """See `headway.layers.tar.Observer`."""
        self._bodies.removing(self._tree)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            return
        if status.st_ino in self._sparse:
            self._sparse.discard(status.st_ino)
        elif status.st_size:
            descriptor = os.open(name, _READ, dir_fd=parent)
            try:
                self._bodies.removed(status.st_ino, pieces(descriptor, PART))
            finally:
                os.close(descriptor)

    def finish(self, diff_id: DiffID) -> None:
        """Complete the recipe: the whole tar went by, and the tree is as it will be committed.

        Raises:
            StoreFullError: No space left.
            StoreError: The disk failed, or somebody else changed the tree.
        """
        with disk_failures(f"the recipe of {diff_id}"):
            self._drain(at_end=True)
            self._flush_headers()
            self._flush_raw()
            self._writer.numbers(Column.LENGTHS, self._lengths)
            self._bodies.finish(self._tree)
            self._writer.finish(diff_id, self._size)

    # --- headers and raw bytes ---

    def _drain(self, *, at_end: bool = False) -> None:
        """Turn what waits into steps; at the end, and only there, it need not be whole blocks."""
        data, padding = self._pending, self._padding
        self._padding = 0
        if data[:padding].count(0) != padding:
            self._ops.append(Op.UNPADDED)
            self._size -= padding
            self._add_raw(data[:padding])
        end = len(data) if at_end else len(data) - (len(data) - padding) % BLOCK
        self._pending = data[end:]
        if end - padding == BLOCK:
            self._add_block(data[padding:end])
        elif end > padding:
            self._add_blocks(data[padding:end])

    def _add_blocks(self, data: bytes) -> None:
        if data.count(0) == len(data):
            self._add_raw(data)
            return
        for at in range(0, len(data), BLOCK):
            self._add_block(data[at : at + BLOCK])

    def _add_block(self, block: bytes) -> None:
        if not _is_header(block):
            self._add_raw(block)
            return
        self._steps += 1
        self._ops.append(Op.HEADER)
        self._headers += block

    def _add_raw(self, data: bytes) -> None:
        self._steps += 2  # an entry with raw bytes is no plain one
        if not data:
            return
        self._size += len(data)
        self._raw += data
        if self._ops and self._ops[-1] == Op.RAW:
            self._lengths[-1] += len(data)
        else:
            self._ops.append(Op.RAW)
            self._lengths.append(len(data))
        if len(self._raw) >= PART:
            self._flush_raw()

    def _flush_headers(self) -> None:
        self._size += len(self._headers)
        for start in range(0, len(self._headers), ROWS * BLOCK):
            blocks = bytes(self._headers[start : start + ROWS * BLOCK])
            for place, (form, data) in enumerate(split_headers(blocks)):
                self._writer.part(Column.HEADER + place, form, len(blocks) // BLOCK, data)
        self._headers.clear()
        self._flush_ops()

    def _flush_ops(self) -> None:
        for at in range(0, len(self._ops), _OPS):
            data = bytes(self._ops[at : at + _OPS])
            self._writer.part(Column.OPS, Form.VERBATIM, len(data), data)
        self._ops.clear()

    def _flush_raw(self) -> None:
        for at in range(0, len(self._raw), PART):
            data = bytes(self._raw[at : at + PART])
            self._writer.part(Column.RAW, Form.VERBATIM, len(data), data)
        self._raw.clear()


def _is_header(block: bytes) -> bool:
    if len(block) != BLOCK:
        return False
    with suppress(ValueError):
        return checksum_matches(block, 0, block[148:156])
    return False
