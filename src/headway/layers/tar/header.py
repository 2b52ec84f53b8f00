"""Reads the fields of a tar header block: ustar (POSIX.1-1988), star, GNU and v7.

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

_NOBODYS = (1 << 32) - 1  # chown(2) takes it for "leave it"
_NUMBERS = range(-(1 << 63), 1 << 63)
_OCTAL = frozenset(b"01234567")
_GNU = b"ustar  \0"


def text(field: bytes) -> bytes:
    """Return a field up to its first NUL."""
    return field.partition(b"\0")[0]


def number(field: bytes) -> int:
    """Return a numeric field: octal digits, or GNU's base-256 if the top bit is set. An empty field is 0.

    Raises:
        ValueError: It is neither, or takes more than 64 bits.
    """
    digits = field[:-1]
    if digits.isdigit() and field[-1] in b"\0 ":  # what nearly every archive has
        return int(digits, 8)
    first = field[0]
    if first & 0x80:
        # The top bit is the mark, the next one the sign.
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        value -= (1 << (8 * len(field) - 1)) if first & 0x40 else 0
        if value not in _NUMBERS:
            raise ValueError(f"{field!r} is too large a number")
        return value
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
        ValueError: They are not valid.
    """
    return number(field[:8]) & 0o7777, owner(number(field[8:16])), owner(number(field[16:]))


def owner(number: int) -> int:
    """Return the owner or group for a number: its low 32 bits, or root if all of those are set (as in Docker).

    Docker gives those bits to chown(2), which changes nothing if all are set: the file stays root's, who made it.
    """
    low = number & 0xFFFFFFFF
    return 0 if low == _NOBODYS else low


def device(field: bytes, magic: bytes) -> tuple[int, int]:
    """Return the major and minor number of a device node, cut to their low 12 and 20 bits as in Docker.

    Archives from before POSIX have none.

    Raises:
        ValueError: They are not numbers.
    """
    if not magic.startswith(b"ustar\0") and magic != _GNU:
        return 0, 0
    return number(field[:8]) & 0xFFF, number(field[8:]) & 0xFFFFF


def in_prefix(name: bytes, prefix: bytes, magic: bytes, trailer: bytes) -> bytes:
    """Return a name with the directories in the header's prefix before it.

    star has two times in the last part of the prefix; GNU tar has only two times there. Anything else in a GNU header
    counts as a prefix if it is ASCII: Go's writers before 1.8, and so Docker's own, put one there.
    """
    if magic.startswith(b"ustar\0"):
        return text(prefix[:131] if trailer == b"tar\0" else prefix) + b"/" + name
    if magic == _GNU and not _are_times(prefix) and (above := text(prefix)).isascii():
        return above + b"/" + name
    return name


def _are_times(prefix: bytes) -> bool:
    try:
        for field in (prefix[:12], prefix[12:24]):
            number(field)
    except ValueError:
        return False
    return True


def checksum_matches(data: bytes, at: int, stored: bytes) -> bool:
    """Tell whether the block at offset `at` of `data` has the checksum that is `stored` in it.

    It is the sum of the block's bytes, with spaces in place of the checksum. Some old programs added signed bytes.

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
