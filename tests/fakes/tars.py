"""Tar archives written byte by byte, so that a test decides about every field, the wrong ones too.

Rule: nothing here corrects what it is given. `header` computes a checksum only where none is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

BLOCK = 512
USTAR = b"ustar\x0000"
GNU = b"ustar  \x00"
V7 = b"\0" * 8
END = b"\0" * 1024


def octal(value: int, width: int) -> bytes:
    """Return `value` as zero-padded octal digits and a NUL, `width` bytes in all."""
    return b"%0*o\0" % (width - 1, value)


def base256(value: int, width: int) -> bytes:
    """Return `value` in GNU's binary form, `width` bytes in all; negative ones in two's complement."""
    data = bytearray(value.to_bytes(width, "big", signed=True))
    data[0] |= 0x80
    return bytes(data)


def header(
    name: bytes,
    *,
    kind: bytes = b"0",
    size: int | bytes = 0,
    mode: int | bytes = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    mtime: int | bytes = 1_600_000_000,
    linkname: bytes = b"",
    magic: bytes = USTAR,
    major: int | bytes = 0,
    minor: int | bytes = 0,
    prefix: bytes = b"",
    checksum: bytes | None = None,
) -> bytes:
    """Return one 512-byte block. Numbers become octal; bytes are put there as they are, padded with NUL."""

    def number(value: int | bytes, width: int) -> bytes:
        return octal(value, width) if isinstance(value, int) else value.ljust(width, b"\0")

    fields = [name.ljust(100, b"\0"), number(mode, 8), number(uid, 8), number(gid, 8), number(size, 12),
              number(mtime, 12), b" " * 8, kind, linkname.ljust(100, b"\0"), magic, b"root".ljust(32, b"\0"),
              b"root".ljust(32, b"\0"), number(major, 8), number(minor, 8), prefix]  # fmt: skip
    block = b"".join(fields).ljust(BLOCK, b"\0")
    if len(block) != BLOCK:
        raise ValueError(f"a field is too long: the block has {len(block)} bytes")
    return block[:148] + (octal(sum(block), 7) + b" " if checksum is None else checksum) + block[156:]


def padded(body: bytes) -> bytes:
    """Return `body`, filled up with NUL to whole blocks."""
    return body + b"\0" * (-len(body) % BLOCK)


def pax(records: Mapping[str, bytes | str] | Iterable[tuple[str, bytes | str]], *, kind: bytes = b"x") -> bytes:
    """Return a pax extended header (``x``, or ``g`` for a global one) with these records in their order."""
    pairs = records.items() if isinstance(records, Mapping) else records
    body = b"".join(
        pax_record(key.encode(), value if isinstance(value, bytes) else value.encode()) for key, value in pairs
    )
    return header(b"PaxHeaders/x", kind=kind, size=len(body)) + padded(body)


def pax_record(key: bytes, value: bytes) -> bytes:
    """Return ``length key=value\\n``, where the length counts itself."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def long_name(name: bytes, *, kind: bytes = b"L") -> bytes:
    """Return GNU's long name (``L``) or long link target (``K``) for the entry that follows."""
    return header(b"././@LongLink", kind=kind, size=len(name) + 1, magic=GNU) + padded(name + b"\0")


class Item(NamedTuple):
    """One entry as a test wants it; `records` go before it as a pax header.

    `mtime` is in seconds; a fraction needs a record.
    """

    name: str | bytes
    body: bytes = b""
    type: str = "file"
    mode: int = -1
    uid: int = 0
    gid: int = 0
    mtime: int = 1_600_000_000
    link: str | bytes = b""
    device: tuple[int, int] = (0, 0)
    records: Mapping[str, bytes | str] = {}  # never changed


_TYPES = {
    "file": b"0",
    "hardlink": b"1",
    "symlink": b"2",
    "char": b"3",
    "block": b"4",
    "dir": b"5",
    "fifo": b"6",
}
_MODES = {"dir": 0o755, "symlink": 0o777}


def file(name: str | bytes, body: bytes = b"", **fields: object) -> Item:
    """Return a regular file."""
    return Item(name, body, **fields)  # type: ignore[arg-type]  # a test's keyword arguments are Item's fields


def directory(name: str | bytes, **fields: object) -> Item:
    """Return a directory."""
    return Item(name, type="dir", **fields)  # type: ignore[arg-type]  # as above


def symlink(name: str | bytes, link: str | bytes, **fields: object) -> Item:
    """Return a symbolic link."""
    return Item(name, type="symlink", link=link, **fields)  # type: ignore[arg-type]  # as above


def hardlink(name: str | bytes, link: str | bytes, **fields: object) -> Item:
    """Return a hard link to an earlier entry."""
    return Item(name, type="hardlink", link=link, **fields)  # type: ignore[arg-type]  # as above


def whiteout(name: str) -> Item:
    """Return the marker that `name` was deleted."""
    parent, _, base = name.rpartition("/")
    return Item(f"{parent}/.wh.{base}".lstrip("/"))


def opaque(name: str) -> Item:
    """Return the marker that directory `name` hides what lies below it; the root for an empty name."""
    return Item(f"{name}/.wh..wh..opq".lstrip("/"))


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


def entry(item: Item) -> bytes:
    """Return the blocks of one entry; names of more than 100 bytes get GNU's long forms."""
    name, link = _bytes(item.name), _bytes(item.link)
    blocks = [pax(item.records)] if item.records else []
    blocks += [long_name(link, kind=b"K")] if len(link) > 100 else []
    blocks += [long_name(name)] if len(name) > 100 else []
    mode = item.mode if item.mode >= 0 else _MODES.get(item.type, 0o644)
    blocks.append(
        header(
            name[:100],
            kind=_TYPES.get(item.type, item.type.encode()),
            size=len(item.body),
            mode=mode,
            uid=item.uid,
            gid=item.gid,
            mtime=item.mtime,
            linkname=link[:100],
            magic=USTAR if item.records else GNU,
            major=item.device[0],
            minor=item.device[1],
        )
    )
    return b"".join(blocks) + padded(item.body)


def tar(*items: Item | bytes, end: bytes = END) -> bytes:
    """Return an archive of `items` (raw bytes are put there as they are) and the end marker."""
    return b"".join(item if isinstance(item, bytes) else entry(item) for item in items) + end


class Source:
    """A `TarSource` over bytes, which gives at most `step` of them at once."""

    def __init__(self, data: bytes, step: int = 1 << 20) -> None:
        self._data = data
        self._step = step
        self._at = 0

    def read(self, limit: int) -> bytes:
        """Return the next bytes; nothing at the end."""
        piece = self._data[self._at : self._at + min(limit, self._step)]
        self._at += len(piece)
        return piece
