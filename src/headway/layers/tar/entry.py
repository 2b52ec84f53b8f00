"""Makes the entries of a tar archive from header blocks and extension headers.

Rule: pure functions; ValueError says what is wrong, and the reader adds where.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from headway.errors import InvalidLayerError
from headway.layers.tar import pax_records, sparse_maps
from headway.layers.tar.header import device, in_prefix, number, owner, rights, seconds, text
from headway.layers.tar.pax_records import NANOSECONDS
from headway.layers.tar.sparse_maps import Map

FILE, HARDLINK, SYMLINK, CHAR, BLOCKDEV, DIRECTORY, FIFO = (b"%d" % kind for kind in range(7))

NOTHING: dict[bytes, bytes] = {}
"""Stands for no records; never changed."""

_NONE: Mapping[bytes, bytes] = MappingProxyType({})  # no dict: of that, msgspec would make one for each entry

_DEVICES = frozenset((CHAR, BLOCKDEV))
OLD_FILE = b"\0"
"""A file as it was before POSIX, or a directory, whose name ends with a slash then."""

_FILES = {b"7": FILE, b"S": FILE}
WITHOUT_BODY = frozenset((HARDLINK, SYMLINK, CHAR, BLOCKDEV, DIRECTORY, FIFO))
"""Kinds without content in the archive, whatever size their header gives (as in Go)."""


class Entry(msgspec.Struct, gc=False):
    """One entry of an archive.

    Attributes:
        name: As in the archive, with a trailing slash if it has one there.
        kind: `FILE`, `HARDLINK` and so on, or another kind that the archive gives.
        mode: Permission bits and setuid, setgid, sticky.
        uid: Owner.
        gid: Group.
        size: Length of the file in bytes, holes included; 0 for what has no content.
        mtime_ns: Time of the last change, nanoseconds since the epoch; may be negative.
        linkname: Target of a hard link or symlink.
        device: Major and minor number of a device node.
        pax: Records of its extended header.
        xattrs: Extended attributes.
        sparse: Offset and length of each part that the body holds; None if the file has no holes.
    """

    name: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    linkname: bytes
    device: tuple[int, int] = (0, 0)
    pax: Mapping[bytes, bytes] = _NONE
    xattrs: Mapping[bytes, bytes] = _NONE
    sparse: Map | None = None


def outline(fields: tuple[bytes, ...]) -> tuple[bytes, bytes, int]:
    """Return name, kind (maybe `OLD_FILE`) and size: all that is needed to know what follows a header.

    Raises:
        ValueError: The size is no number.
    """
    name, _, size, _, _, kind, _, magic, _, prefix, trailer = fields
    name = name.partition(b"\0")[0]
    if prefix[0]:
        name = in_prefix(name, prefix, magic, trailer)
    return name, _FILES.get(kind, kind), number(size)


def plain_entry(fields: tuple[bytes, ...]) -> Entry:
    """Return the entry that a header block alone describes; `fields` are those of `unpack_header`.

    The kind may be `OLD_FILE`.

    Raises:
        ValueError: A number is not one.
    """
    name, kind, size = outline(fields)
    _, owned, _, mtime, _, _, linkname, magic, numbers, _, _ = fields
    mode, uid, gid = rights(owned)
    return Entry(
        name,
        kind,
        mode,
        uid,
        gid,
        size,
        seconds(mtime) * NANOSECONDS,
        text(linkname) if linkname[0] else b"",
        device(numbers, magic) if kind in _DEVICES else (0, 0),
    )


def holds_body(kind: bytes, name: bytes) -> bool:
    """Tell whether content follows a header, by the header's own kind and name."""
    return kind not in WITHOUT_BODY and not (kind == OLD_FILE and name.endswith(b"/"))


def extend(entry: Entry, pax: Mapping[bytes, bytes], long: Mapping[bytes, bytes]) -> bool:
    """Give `entry` the values of its extension headers; GNU's long names take precedence over pax (as in Go).

    A record without a value changes nothing (as in Go), except that an extended attribute may be empty.

    Returns:
        Whether name and size are still those of the header block.

    Raises:
        ValueError: A value is not what its key asks for.
    """
    before = entry.name, entry.size
    pax_records.check_unused(pax)
    entry.pax = pax
    entry.xattrs = pax_records.xattrs(pax)
    name = long.get(b"L") or pax.get(b"path")
    if (b"GNU.sparse.map" in pax or b"GNU.sparse.major" in pax) and sparse_maps.form(pax) is not None:
        name = pax_records.sparse_name(pax) or name
    if name:
        entry.name = name
    if link := long.get(b"K") or pax.get(b"linkpath"):
        entry.linkname = link
    if value := pax.get(b"mtime"):
        entry.mtime_ns = pax_records.nanoseconds(value)
    if value := pax.get(b"size"):
        entry.size = pax_records.signed(value)
    if value := pax.get(b"uid"):
        entry.uid = owner(pax_records.signed(value))
    if value := pax.get(b"gid"):
        entry.gid = owner(pax_records.signed(value))
    return (entry.name, entry.size) == before


def refused(name: bytes, reason: str) -> InvalidLayerError:
    """Return what says that the entry of this name cannot be put on disk."""
    return InvalidLayerError(f"entry {os.fsdecode(name)!r} cannot be unpacked: {reason}")
