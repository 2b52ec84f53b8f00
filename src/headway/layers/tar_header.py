"""Fields of a tar header block: ustar (POSIX.1-1988), star, GNU and v7.

Rule: pure functions over bytes; ValueError says what is wrong, and the reader adds where.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from zlib import adler32

BLOCK = 512
"""Bytes of a block: headers are one, bodies are padded to whole ones."""

unpack_header = struct.Struct("100s24s12s12s8sc100s8s64x16s155s8x4s").unpack_from
"""Split a block: name, rights (mode, uid, gid), size, mtime, checksum, kind, linkname, magic, device, prefix, trailer.

``uname`` and ``gname`` are left out: layers are applied by number (moby-behaviour 4.8).
"""

ID_LIMIT = (1 << 32) - 1
"""First number that is no owner: chown(2) takes it for "leave it"."""

_OCTAL = frozenset(b"01234567")


def text(field: bytes) -> bytes:
    """Return a field up to its first NUL."""
    return field.partition(b"\0")[0]


def directories(prefix: bytes, trailer: bytes) -> bytes:
    """Return what stands before a name in ustar's prefix; star has two times in the last part of that."""
    return text(prefix[:131] if trailer == b"tar\0" else prefix)


def number(field: bytes) -> int:
    """Return a numeric field: octal digits, or GNU's base-256 where the top bit is set. An empty field is 0.

    Raises:
        ValueError: It is neither.
    """
    digits = field[:-1]
    if digits.isdigit() and field[-1] in b"\0 ":  # what nearly every archive has
        return int(digits, 8)
    first = field[0]
    if first & 0x80:
        # The top bit is the mark, the next one the sign.
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        return value - (1 << (8 * len(field) - 1)) if first & 0x40 else value
    digits = text(field.lstrip(b"\0 ")).rstrip(b" ")
    if not _OCTAL.issuperset(digits):
        raise ValueError(f"{field!r} is not a number")
    return int(digits, 8) if digits else 0


seconds = lru_cache(maxsize=1024)(number)
"""`number` for times, of which a layer has few."""


@lru_cache(maxsize=1024)
def rights(field: bytes) -> tuple[int, int, int]:
    """Return mode, uid and gid. Cached, for most entries of a layer share them.

    Raises:
        ValueError: They cannot be that.
    """
    mode, uid, gid = number(field[:8]), number(field[8:16]), number(field[16:])
    if not (0 <= uid < ID_LIMIT and 0 <= gid < ID_LIMIT):
        raise ValueError(f"an owner {uid}:{gid} that cannot be")
    return mode & 0o7777, uid, gid


def checksum_matches(data: bytes, at: int, stored: bytes) -> bool:
    """Tell whether the block at offset `at` of `data` has the checksum that is `stored` in it.

    It is the sum of the block's bytes, its own taken as spaces. Some old programs added signed bytes.

    Raises:
        ValueError: `stored` is not a number.
    """
    # The low half of an Adler-32 that starts at 0 is the sum of the bytes, exactly so for up to 257 of them,
    # and takes a twentieth of the time of sum().
    middle = at + 256
    total = (adler32(data[at:middle], 0) & 0xFFFF) + (adler32(data[middle : at + BLOCK], 0) & 0xFFFF)
    digits = stored[:6]
    if digits.isdigit() and total - sum(stored) + 256 == int(digits, 8):  # nearly always
        return True
    expected = number(stored)
    if total - sum(stored) + 256 == expected:
        return True
    blanked = data[at : at + 148] + b" " * 8 + data[at + 156 : at + BLOCK]
    return sum(blanked) - 256 * sum(byte > 127 for byte in blanked) == expected
