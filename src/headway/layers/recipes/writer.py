"""Writes recipes, which `headway.layers.recipes.recipe` reads.

Rule: the header is written last. A file without one is not a recipe.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from headway.crc32 import crc32
from headway.layers.recipes.codec import Codec, best_codec, compressor
from headway.layers.recipes.columns import pack_numbers
from headway.layers.recipes.format import CRC_BYTES, FILE_HEADER, MAGIC, PART, PART_HEAD, ROWS, VERSION, Column, Form
from headway.oci.digest import DiffID

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class RecipeWriter:
    """Writes the parts of a recipe into a new file, and its header last.

    Args:
        path: The new file; it must not exist.
        codec: How parts are compressed; None for the best that is available.

    Attributes:
        size: Length of the file so far, in bytes.

    Raises:
        OSError: From every method: a system call failed.
    """

    def __init__(self, path: Path, codec: Codec | None = None) -> None:
        self._codec = best_codec() if codec is None else codec
        self._compress = compressor(self._codec)
        self._parts = 0
        self._file = os.fdopen(os.open(path, _NEW_FILE, 0o600), "wb")
        self._file.write(bytes(FILE_HEADER.size))
        self.size = FILE_HEADER.size

    def close(self) -> None:
        """Close the file; without a `finish` before, it is not a recipe."""
        with suppress(OSError):
            self._file.close()

    def part(self, column: Column, form: Form, rows: int, data: bytes) -> None:
        """Append one part of a column."""
        codec, stored = self._codec, self._compress(data)
        if len(stored) >= len(data):
            codec, stored = Codec.STORED, bytes(data)
        head = PART_HEAD.pack(column, form, codec, 0, rows, len(data), len(stored), 0)[:-CRC_BYTES]
        crc = crc32(stored, crc32(head))
        self._file.write(head + crc.to_bytes(CRC_BYTES, "little") + stored)
        self._parts += 1
        self.size += PART_HEAD.size + len(stored)

    def data(self, column: Column, data: bytes) -> None:
        """Append bytes to a column of `ONE_BYTE_ROWS`, in as many parts as it takes."""
        for at in range(0, len(data), PART):
            piece = data[at : at + PART]
            self.part(column, Form.VERBATIM, len(piece), piece)

    def numbers(self, column: Column, numbers: Sequence[int]) -> None:
        """Append numbers to a column, in as many parts as it takes."""
        for at in range(0, len(numbers), ROWS):
            group = numbers[at : at + ROWS]
            self.part(column, Form.NUMBERS, len(group), pack_numbers(group))

    def checks(self, checks: Sequence[int]) -> None:
        """Append the CRC-32 of bodies, in as many parts as it takes."""
        for at in range(0, len(checks), ROWS):
            group = checks[at : at + ROWS]
            self.part(Column.CHECKS, Form.VERBATIM, len(group), struct.pack(f"<{len(group)}I", *group))

    def texts(self, column: Column, texts: Sequence[bytes]) -> None:
        """Append texts without NULs to a column, in as many parts as it takes."""
        start, size = 0, 0
        for end, text in enumerate(texts, 1):
            size += len(text) + 1
            if size >= PART or end - start == ROWS or end == len(texts):
                self.part(column, Form.TEXT, end - start, b"\0".join(texts[start:end]))
                start, size = end, 0

    def finish(self, diff_id: DiffID, tar_size: int) -> None:
        """Write the header, which makes the file a recipe until another part is appended."""
        digest = bytes.fromhex(diff_id.hex)
        header = FILE_HEADER.pack(MAGIC, VERSION, 0, digest, tar_size, self.size, self._parts, 0)[:-CRC_BYTES]
        self._file.seek(0)
        self._file.write(header + crc32(header).to_bytes(CRC_BYTES, "little"))
        self._file.seek(0, os.SEEK_END)
        self._file.flush()
