"""Records of pax extended headers (POSIX.1-2001, pax, "pax Extended Header").

Rule: pure functions over bytes; ValueError says what is wrong, and the reader adds where.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

XATTR = b"SCHILY.xattr."
"""Prefix of records that hold extended attributes, as Docker and GNU tar write them.

``LIBARCHIVE.xattr.*`` repeats them in another coding and is ignored, as Docker does.
"""

_SPARSE = b"GNU.sparse."

NANOSECONDS = 1_000_000_000


def records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value of each record of an extended header's body, in order.

    Raises:
        ValueError: A record's length is wrong.
    """
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
        yield key, value
        at = after


def collect(data: bytes, into: dict[bytes, bytes]) -> None:
    """Add the records of an extended header's body to `into`; later ones replace earlier ones.

    GNU's sparse form 0.0 repeats two keys; they are brought into form 0.1.

    Raises:
        ValueError: A record's length is wrong.
    """
    parts: list[bytes] = []
    for key, value in records(data):
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            parts.append(value)
        else:
            into[key] = value
    if parts:
        into[b"GNU.sparse.map"] = b",".join(parts)


def global_records(data: bytes) -> dict[bytes, bytes]:
    """Return the records of a global header that hold for others: the map of a sparse file is that of one file.

    Raises:
        ValueError: A record's length is wrong.
    """
    return {key: value for key, value in records(data) if not key.startswith(_SPARSE)}


def integer(value: bytes) -> int:
    """Return a decimal number.

    Raises:
        ValueError: It is not one.
    """
    if not value.isdigit() or len(value) > 40:
        raise ValueError(f"{value[:40]!r} is not a number")
    return int(value)


def nanoseconds(value: bytes) -> int:
    """Return a time, ``[-]seconds[.fraction]``, in nanoseconds; digits beyond the ninth are dropped.

    Raises:
        ValueError: It is not a time.
    """
    sign = -1 if value.startswith(b"-") else 1
    seconds, _, fraction = value[sign < 0 :].partition(b".")
    if not fraction.isdigit() and fraction:
        raise ValueError(f"{value[:40]!r} is not a time")
    return sign * (integer(seconds) * NANOSECONDS + int(fraction[:9].ljust(9, b"0") or b"0"))


def path(value: bytes) -> bytes:
    """Return a path or link target.

    Raises:
        ValueError: It holds a NUL, which no file system can store.
    """
    if b"\0" in value:
        raise ValueError("a name contains a NUL")
    return value


def xattrs(pax: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the extended attributes among the records."""
    cut = len(XATTR)
    return {path(key[cut:]): value for key, value in pax.items() if key.startswith(XATTR)}
