"""Records of pax extended headers (POSIX.1-2001, pax, "pax Extended Header").

Rule: pure functions over bytes. A ValueError says what is wrong, and the reader adds the place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

XATTR = b"SCHILY.xattr."
"""Prefix of records that hold extended attributes, as Docker and GNU tar write them.

``LIBARCHIVE.xattr.*`` repeats them in another coding and is ignored, as Docker does.
"""

NANOSECONDS = 1_000_000_000
_LIMIT = 1 << 63
_PARTS = frozenset((b"GNU.sparse.offset", b"GNU.sparse.numbytes"))
_NAMES = (b"path", b"linkpath", b"uname", b"gname")
_TIME = re.compile(rb"[+-]?[0-9]+(\.[0-9]*)?").fullmatch


def collect(data: bytes) -> dict[bytes, bytes]:
    """Return the records of an extended header's body; later ones replace earlier ones.

    GNU's sparse form 0.0 repeats two keys; they are brought into form 0.1.

    Raises:
        ValueError: A record's length is wrong, or its key cannot be one.
    """
    found: dict[bytes, bytes] = {}
    parts: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        space = data.find(b" ", at, at + 20)
        digits = data[at:space]
        if space < 0 or not digits.isdigit():
            raise ValueError("an extended header's record has no length")
        after = at + int(digits)
        key, equals, value = data[space + 1 : after - 1].partition(b"=")
        if after > end or data[after - 1 : after] != b"\n" or not equals:
            raise ValueError("an extended header's record has a wrong length")
        if key in _PARTS:
            parts.append(value)
        else:
            found[key] = value
        at = after
    if parts:
        found[b"GNU.sparse.map"] = b",".join(parts)
    if b"" in found:
        raise ValueError("an extended header's record has no key")
    if b"\0" in data:
        _check_nuls(found)
    return found


def _check_nuls(found: Mapping[bytes, bytes]) -> None:
    """Make sure that keys and names hold no NUL (as in Go), which no file system can store."""
    if b"\0" in b"".join([*found, *[found.get(key, b"") for key in _NAMES]]):
        raise ValueError("a name contains a NUL")


def integer(value: bytes) -> int:
    """Return a decimal number without a sign.

    Raises:
        ValueError: It is not one.
    """
    if not value.isdigit() or len(value) > 40:
        raise ValueError(f"{value[:40]!r} is not a number")
    return int(value)


def signed(value: bytes) -> int:
    """Return a decimal number of 64 bits, maybe with a sign, plus included (as in Go).

    Raises:
        ValueError: It is not one.
    """
    if value.isdigit() and len(value) < 19:  # nearly always
        return int(value)
    number = integer(value[1:] if value[:1] in (b"+", b"-") else value)
    if number >= _LIMIT:
        raise ValueError(f"{value[:40]!r} is too large a number")
    return -number if value.startswith(b"-") else number


def nanoseconds(value: bytes) -> int:
    """Return a time, ``[+-]seconds[.fraction]``, in nanoseconds; digits beyond the ninth are dropped.

    Raises:
        ValueError: It is not a time.
    """
    seconds, _, fraction = value.partition(b".")
    if not fraction.isdigit() and fraction:
        raise ValueError(f"{value[:40]!r} is not a time")
    part = int(fraction[:9].ljust(9, b"0"))
    return signed(seconds) * NANOSECONDS + (-part if value.startswith(b"-") else part)


def check_unused(pax: Mapping[bytes, bytes]) -> None:
    """Check the times that unpacking ignores. Go checks them as well, so no engine unpacks a layer with bad ones.

    Raises:
        ValueError: One of them is not a time.
    """
    for key in (b"atime", b"ctime"):
        if (value := pax.get(key)) and not _TIME(value):
            raise ValueError(f"{value[:40]!r} is not a time")


def sparse_name(pax: Mapping[bytes, bytes]) -> bytes:
    """Return the name of a sparse file; empty where its records have none.

    Raises:
        ValueError: It holds a NUL.
    """
    name = pax.get(b"GNU.sparse.name", b"")
    if b"\0" in name:
        raise ValueError("a name contains a NUL")
    return name


def xattrs(pax: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the extended attributes among the records."""
    cut = len(XATTR)
    return {key[cut:]: value for key, value in pax.items() if key.startswith(XATTR)}
