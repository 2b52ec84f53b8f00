"""Writes tar archives: POSIX pax, with an extended header only for values that do not fit into a header block.

Rule 1: the same entries give the same bytes on every machine: no user names, no process IDs, records sorted.
Rule 2: `headway.layers.tar.reader` reads back exactly what was written, including names that are no valid UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from headway.layers.tar.entry import CHAR, DIRECTORY, FILE, Entry
from headway.layers.tar.header import BLOCK
from headway.layers.tar.pax_records import NANOSECONDS, XATTR

Member: TypeAlias = tuple[Entry, Iterable[bytes]]
"""An entry and its body, which has exactly the entry's size."""

_END = bytes(2 * BLOCK)
_PIECE = 1 << 18
_PAX = b"x"
_MODE_LIMIT, _ID_LIMIT, _SIZE_LIMIT = 8**7, 8**7, 8**11
_DEVICES = (CHAR, b"4")


def archive(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield an archive of `members`, in pieces large enough to send.

    Raises:
        ValueError: While iterating: a body has another length than its entry says.
    """
    return joined(_pieces(members))


def joined(pieces: Iterable[bytes], size: int = _PIECE) -> Iterator[bytes]:
    """Yield the same bytes in pieces of at least `size`, except the last one: fewer, larger writes."""
    held: list[bytes] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length >= size:
            whole = b"".join(held)
            held, length = [], 0  # before it is handed out: whoever takes it slowly does not hold it twice
            yield whole
    if held:
        yield b"".join(held)


def _pieces(members: Iterable[Member]) -> Iterator[bytes]:
    for entry, body in members:
        yield header(entry)
        length = 0
        for piece in body:
            length += len(piece)
            yield piece
        if length != entry.size:
            raise ValueError(f"{entry.name!r} has {length} bytes where {entry.size} were announced")
        if padding := -length % BLOCK:
            yield bytes(padding)
    yield _END


def header(entry: Entry) -> bytes:
    """Return the blocks that precede an entry's body."""
    # A record's key ends at the first "=" (POSIX): an attribute with one in its name would be read as another.
    records = {XATTR + key: value for key, value in entry.xattrs.items() if b"=" not in key}
    prefix, name = _split(entry.name, records)
    if len(entry.linkname) > 100:
        records[b"linkpath"] = entry.linkname
    for key, value, limit in (
        (b"uid", entry.uid, _ID_LIMIT),
        (b"gid", entry.gid, _ID_LIMIT),
        (b"size", entry.size, _SIZE_LIMIT),
    ):
        if value >= limit:
            records[key] = b"%d" % value
    seconds, fraction = divmod(entry.mtime_ns, NANOSECONDS)
    if fraction or not 0 <= seconds < _SIZE_LIMIT:
        records[b"mtime"] = _time(entry.mtime_ns)
    block = _block(entry, prefix, name, max(0, seconds))
    return _extended(entry.name, records) + block if records else block


def _split(name: bytes, records: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return prefix and name for a block; a name that does not fit goes to `records`."""
    if len(name) <= 100:
        return b"", name
    # POSIX joins the two with a slash: the last one that leaves 100 bytes behind it, and 155 before.
    slash = name.find(b"/", len(name) - 101, len(name) - 1)
    if 0 < slash <= 155 and name.isascii():
        return name[:slash], name[slash + 1 :]
    records[b"path"] = name
    return b"", name[:100]


def _block(entry: Entry, prefix: bytes, name: bytes, seconds: int) -> bytes:
    device = b"%07o\0%07o\0" % entry.device if entry.kind in _DEVICES else b""
    fields = (
        (name, 100),
        (_octal(entry.mode, 8, _MODE_LIMIT), 8),
        (_octal(entry.uid, 8, _ID_LIMIT), 8),
        (_octal(entry.gid, 8, _ID_LIMIT), 8),
        (_octal(entry.size, 12, _SIZE_LIMIT), 12),
        (_octal(seconds, 12, _SIZE_LIMIT), 12),
        (b" " * 8, 8),
        (entry.kind, 1),
        (entry.linkname[:100], 100),
        (b"ustar\x0000", 8),
        (b"", 64),
        (device, 16),
        (prefix, 155),
        (b"", 12),
    )
    block = bytearray(b"".join(value.ljust(width, b"\0") for value, width in fields))
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _octal(value: int, width: int, limit: int) -> bytes:
    # What does not fit has a record, which wins.
    return b"%0*o" % (width - 1, value if value < limit else 0)


def _extended(name: bytes, records: dict[bytes, bytes]) -> bytes:
    body = b"".join(_record(key, records[key]) for key in sorted(records))
    shown = b"PaxHeaders.0/" + name.rstrip(b"/").rpartition(b"/")[2][:87]
    entry = Entry(shown, _PAX, 0, 0, 0, len(body), 0, b"")
    return _block(entry, b"", shown, 0) + body + bytes(-len(body) % BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    """Return one record; its length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):
        length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def _time(nanoseconds: int) -> bytes:
    sign = b"-" if nanoseconds < 0 else b""
    seconds, fraction = divmod(abs(nanoseconds), NANOSECONDS)
    return sign + (b"%d.%09d" % (seconds, fraction)).rstrip(b"0").rstrip(b".")


def directory(name: bytes, mode: int = 0o755, *, mtime_ns: int = 0) -> Entry:
    """Return the entry of a directory that root owns."""
    return Entry(name.rstrip(b"/") + b"/", DIRECTORY, mode, 0, 0, 0, mtime_ns, b"")


def file(name: bytes, size: int, mode: int = 0o644, *, mtime_ns: int = 0) -> Entry:
    """Return the entry of a regular file that root owns."""
    return Entry(name, FILE, mode, 0, 0, size, mtime_ns, b"")
