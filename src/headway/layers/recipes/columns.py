"""Packs the columns of a recipe: values of one kind, in a form that compresses well and takes few calls to make.

Rule 1: pure functions over bytes; any value that is packed comes back exactly.
Rule 2: work for each header block is done in C: slices with a stride, joins, counts.
Rule 3: packed data is not trusted: ValueError says what is wrong, and nothing larger than the rows is allocated.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate
from zlib import adler32

from headway.layers.recipes.format import Form
from headway.layers.tar.header import BLOCK

LIMIT = 1 << 63
"""First number that a column of numbers cannot hold."""

# --- numbers ---


def pack_numbers(numbers: Sequence[int]) -> bytes:
    """Return numbers below `LIMIT` as 64-bit zigzag differences, the lowest bytes of all of them first."""
    count = len(numbers)
    differences = [number - before for number, before in zip(numbers, (0, *numbers), strict=False)]
    packed = struct.pack(f"<{count}Q", *[(value << 1) ^ (value >> 63) for value in differences])
    return planes(packed, 8)


def unpack_numbers(data: bytes, count: int) -> list[int]:
    """Return the `count` numbers that `pack_numbers` was given.

    Raises:
        ValueError: `data` is not that.
    """
    packed = rows(data, count, 8)
    numbers = list(accumulate((value >> 1) ^ -(value & 1) for value in struct.unpack(f"<{count}Q", packed)))
    if numbers and not (min(numbers) >= 0 and max(numbers) < LIMIT):
        raise ValueError("a column of numbers that cannot be")
    return numbers


def planes(data: bytes, width: int) -> bytes:
    """Return the first bytes of consecutive rows, then all the second bytes, and so on."""
    return b"".join([data[place::width] for place in range(width)])


def rows(data: bytes, count: int, width: int) -> bytes:
    """Return the `count` rows that `planes` was given.

    Raises:
        ValueError: `data` is not that.
    """
    if len(data) != count * width:
        raise ValueError("a column of a wrong length")
    whole = bytearray(len(data))
    for place in range(width):
        whole[place::width] = data[place * count : (place + 1) * count]
    return bytes(whole)


# --- header blocks ---

NAME = 100
"""Bytes of the name, which comes first (POSIX.1-1988)."""

LINKNAME = 157
"""Where the link's target begins, after mode, owner, group, size, time, checksum and kind."""

_CHECKSUM, _KIND = 148, 156
_ENDS = struct.Struct(f"{NAME}s{LINKNAME - NAME}x{BLOCK - LINKNAME}s")
_BLANK = b" " * 8
_WITH, _WITHOUT = LINKNAME - NAME, LINKNAME - NAME - 8  # bytes of the fields, and those without the checksum

HeaderColumns = tuple[tuple[Form, bytes], tuple[Form, bytes], tuple[Form, bytes]]
"""Names, fields and tails of some blocks."""


def split_headers(blocks: bytes) -> HeaderColumns:
    """Return the columns of consecutive header blocks; each has a checksum that readers accept."""
    names, tails = zip(*_ENDS.iter_unpack(blocks), strict=True)
    text = b"\0".join([name.rstrip(b"\0") for name in names])
    is_text = text.count(0) == len(names) - 1
    fields = [blocks[place::BLOCK] for place in range(NAME, LINKNAME)]
    is_computed = _are_computed(blocks, fields[_CHECKSUM - NAME : _KIND - NAME])
    if is_computed:
        del fields[_CHECKSUM - NAME : _KIND - NAME]
    return (
        (Form.TEXT, text) if is_text else (Form.VERBATIM, b"".join(names)),
        (Form.COMPUTED if is_computed else Form.PLANES, b"".join(fields)),
        (Form.VERBATIM, b"".join(tails)),
    )


def join_headers(columns: HeaderColumns, count: int) -> list[bytes]:
    """Return the `count` blocks that `split_headers` was given.

    Raises:
        ValueError: The columns are not that.
    """
    (name_form, names), (field_form, fields), (tail_form, tails) = columns
    if name_form not in (Form.TEXT, Form.VERBATIM) or tail_form != Form.VERBATIM:
        raise ValueError("a column of an unknown form")
    if name_form == Form.TEXT:
        split = [name.ljust(NAME, b"\0") for name in names.split(b"\0")]
        if len(split) != count or len(b"".join(split)) != count * NAME:
            raise ValueError("a column of a wrong length")
    else:
        split = _cut(names, count, NAME)
    blocks = zip(split, _fields(field_form, fields, count), _cut(tails, count, BLOCK - LINKNAME), strict=True)
    if field_form == Form.COMPUTED:
        return [_with_checksum(b"".join(parts)) for parts in blocks]
    return [b"".join(parts) for parts in blocks]


def _fields(form: int, data: bytes, count: int) -> list[bytes]:
    if form == Form.PLANES:
        return _cut(rows(data, count, _WITH), count, _WITH)
    if form != Form.COMPUTED:
        raise ValueError("a column of an unknown form")
    place = _CHECKSUM - NAME
    return [row[:place] + _BLANK + row[place:] for row in _cut(rows(data, count, _WITHOUT), count, _WITHOUT)]


def _cut(data: bytes, count: int, width: int) -> list[bytes]:
    if len(data) != count * width:
        raise ValueError("a column of a wrong length")
    return [data[at : at + width] for at in range(0, len(data), width)]


def checksum(block: bytes) -> bytes:
    """Return the checksum field that nearly every program gives a header block."""
    # See `tar.header.checksum_matches` for Adler-32.
    total = (adler32(block[:256], 0) & 0xFFFF) + (adler32(block[256:], 0) & 0xFFFF)
    return b"%06o\0 " % (total - sum(block[_CHECKSUM:_KIND]) + 256)


def _with_checksum(block: bytes) -> bytes:
    return block[:_CHECKSUM] + checksum(block) + block[_KIND:]


def _are_computed(blocks: bytes, fields: Sequence[bytes]) -> bool:
    """Tell whether `checksum` gives all of these; `fields` are their first bytes, their second ones, and so on."""
    if fields[7].count(b" ") != len(fields[7]) or any(fields[6]) or not b"".join(fields[:6]).isdigit():
        return False
    if blocks.isascii():  # signed and unsigned sums are the same, so that these are right where they are spelt right
        return True
    return all(checksum(block) == block[_CHECKSUM:_KIND] for block in _blocks(blocks))


def _blocks(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), BLOCK):
        yield data[at : at + BLOCK]
