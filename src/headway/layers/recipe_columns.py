"""Columns of a recipe: rows that belong together, in the form that takes the least and loses nothing.

Rule 1: pure functions over bytes. `decode(encode(rows)) == rows` for any rows of the column's width.
Rule 2: a form is picked per group of rows; what no clever form gives back exactly is kept verbatim.
Rule 3: what is decoded is not trusted: ValueError says what is wrong, and nothing larger than the rows is made.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from itertools import accumulate
from zlib import adler32

from headway.layers.tar_header import BLOCK

ROWS = 4096
"""Rows of a full group."""

LIMIT = 1 << 63
"""First number that a column of numbers cannot hold."""

_TABLE_ROWS = 255
_BLANK = b" " * 8


class Form(IntEnum):
    """How the rows of one group are written."""

    VERBATIM = 0
    """One after the other, at their full width."""

    TABLE = 1
    """How many distinct rows there are, these rows, and for each row a byte that says which it is.

    A single distinct row needs no bytes.
    """

    TEXT = 2
    """Without trailing NULs, a NUL between two."""

    NUMBERS = 3
    """See `pack_numbers`."""

    OCTAL = 4
    """Octal digits and a NUL, as numbers."""

    COMPUTED = 5
    """Nothing: each row is the checksum of its header block, six digits, a NUL and a space."""


def encode(rows: Sequence[bytes], width: int) -> tuple[Form, bytes]:
    """Return the smallest form of rows that all have `width` bytes, and what it says."""
    distinct = {rows[0]: None} if rows.count(rows[0]) == len(rows) else dict.fromkeys(rows)
    if len(distinct) <= _TABLE_ROWS and 4 * len(distinct) <= len(rows) + 3:
        return Form.TABLE, _table(rows, list(distinct))
    if width == 12 and (numbers := _octal(rows)) is not None:
        return Form.OCTAL, pack_numbers(numbers)
    text = b"\0".join([row.rstrip(b"\0") for row in rows])
    if text.count(0) == len(rows) - 1:
        return Form.TEXT, text
    return Form.VERBATIM, b"".join(rows)


def decode(form: int, data: bytes, count: int, width: int) -> Sequence[bytes]:
    """Return the `count` rows of `width` bytes that `encode` was given.

    Raises:
        ValueError: `data` is not that.
    """
    if form == Form.TABLE:
        return _from_table(data, count, width)
    if form == Form.OCTAL:
        rows = [b"%0*o\0" % (width - 1, number) for number in unpack_numbers(data, count)]
    elif form == Form.TEXT:
        rows = [row.ljust(width, b"\0") for row in data.split(b"\0")]
    elif form == Form.VERBATIM:
        rows = [data[at : at + width] for at in range(0, len(data), width)]
    else:
        raise ValueError(f"a column of the unknown form {form}")
    if len(rows) != count or any(len(row) != width for row in rows):
        raise ValueError("a column of a wrong length")
    return rows


def _table(rows: Sequence[bytes], distinct: list[bytes]) -> bytes:
    head = bytes((len(distinct),)) + b"".join(distinct)
    if len(distinct) == 1:
        return head
    index = {row: number for number, row in enumerate(distinct)}
    return head + bytes([index[row] for row in rows])


def _from_table(data: bytes, count: int, width: int) -> Sequence[bytes]:
    if not data:
        raise ValueError("a column without its table")
    end = 1 + data[0] * width
    table = [data[at : at + width] for at in range(1, end, width)]
    indexes = bytes(count) if len(table) == 1 else data[end:]
    if len(data) < end or len(indexes) != count or max(indexes, default=0) >= len(table):
        raise ValueError("a column that does not fit its table")
    return [table[index] for index in indexes]


def _octal(rows: Sequence[bytes]) -> list[int] | None:
    try:
        numbers = [int(row[:-1], 8) for row in rows]
    except ValueError:
        return None
    width = len(rows[0]) - 1
    is_exact = all(
        number >= 0 and b"%0*o\0" % (width, number) == row for number, row in zip(numbers, rows, strict=True)
    )
    return numbers if is_exact else None


def pack_numbers(numbers: Sequence[int]) -> bytes:
    """Return numbers below `LIMIT` as differences to the one before, zigzag, 64 bit, all lowest bytes first."""
    count = len(numbers)
    differences = [number - before for number, before in zip(numbers, (0, *numbers), strict=False)]
    packed = struct.pack(f"<{count}Q", *[(value << 1) ^ (value >> 63) for value in differences])
    return b"".join([packed[plane::8] for plane in range(8)])


def unpack_numbers(data: bytes, count: int) -> list[int]:
    """Return the `count` numbers that `pack_numbers` was given.

    Raises:
        ValueError: `data` is not that.
    """
    if len(data) != 8 * count:
        raise ValueError("a column of numbers of a wrong length")
    packed = bytearray(len(data))
    for plane in range(8):
        packed[plane::8] = data[plane * count : (plane + 1) * count]
    numbers = list(accumulate((value >> 1) ^ -(value & 1) for value in struct.unpack(f"<{count}Q", packed)))
    if numbers and not (min(numbers) >= 0 and max(numbers) < LIMIT):
        raise ValueError("a column of numbers that cannot be")
    return numbers


# --- header blocks ---

HEADER_FIELDS = {
    "name": 100,
    "mode": 8,
    "uid": 8,
    "gid": 8,
    "size": 12,
    "mtime": 12,
    "checksum": 8,
    "typeflag": 1,
    "linkname": 100,
    "magic": 8,
    "uname": 32,
    "gname": 32,
    "devmajor": 8,
    "devminor": 8,
    "prefix": 155,
    "rest": 12,
}
"""Fields of a header block in their order, and their widths (POSIX.1-1988; magic includes the version)."""

_FIELDS = struct.Struct("".join(f"{width}s" for width in HEADER_FIELDS.values()))


def checksum(block: bytes) -> bytes:
    """Return the checksum field that nearly every program gives a header block."""
    # See `tar_header.checksum_matches` for Adler-32.
    total = (adler32(block[:256], 0) & 0xFFFF) + (adler32(block[256:], 0) & 0xFFFF)
    return b"%06o\0 " % (total - sum(block[148:156]) + 256)


def split_headers(blocks: bytes) -> Iterator[tuple[Form, bytes]]:
    """Yield form and data of each field of some header blocks, in the order of `HEADER_FIELDS`.

    The blocks lie one after the other, and each has its checksum in one of the ways that readers take.
    """
    fields = zip(*_FIELDS.iter_unpack(blocks), strict=True)
    for (name, width), rows in zip(HEADER_FIELDS.items(), fields, strict=True):
        yield (Form.COMPUTED, b"") if name == "checksum" and _are_computed(blocks, rows) else encode(rows, width)


def _are_computed(blocks: bytes, checksums: Sequence[bytes]) -> bool:
    """Tell whether `checksum` gives all of these."""
    if blocks.isascii():  # signed and unsigned sums are the same, so that these are right if they are spelt right
        return all(field[:6].isdigit() and field[6:] == b"\0 " for field in checksums)
    starts = range(0, len(blocks), BLOCK)
    return all(checksum(blocks[at : at + BLOCK]) == field for at, field in zip(starts, checksums, strict=True))


def join_header(fields: Iterable[bytes]) -> bytes:
    """Return the block with these fields; a checksum of no bytes is computed.

    Raises:
        ValueError: They do not make a block.
    """
    block = b"".join(fields)
    if len(block) == BLOCK - 8:
        block = block[:148] + _BLANK + block[148:]
        block = block[:148] + checksum(block) + block[156:]
    if len(block) != BLOCK:
        raise ValueError("a header of a wrong length")
    return block
