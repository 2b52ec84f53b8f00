"""Reads the maps of sparse entries: which parts of a file are in the tar, in all four forms that GNU tar has written.

Rule: a map is checked before it is used: parts in order, inside the file, together as long as the body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from headway.layers.tar.header import BLOCK, number
from headway.layers.tar.pax_records import integer

Map = tuple[tuple[int, int], ...]
"""Offset and length of each part with data, in bytes."""

PARTS = 1 << 18
"""Most parts that one map may have."""

_OLD_MAP, _OLD_EXTENDED, _OLD_SIZE = 386, 482, 483
_ENTRY = 24


def checked(parts: list[int], size: int, stored: int) -> Map:
    """Return offsets and lengths, which alternate in `parts`, as a map of a file of `size` bytes.

    Raises:
        ValueError: It is not one, or does not have `stored` bytes of data.
    """
    if len(parts) % 2 or len(parts) > 2 * PARTS:
        raise ValueError("a sparse map is incomplete or too long")
    sparse = tuple(zip(parts[::2], parts[1::2], strict=True))
    at = total = 0
    for offset, length in sparse:
        if offset < at or length < 0:
            raise ValueError("a sparse map is not in order")
        at = offset + length
        total += length
    if at > size or total != stored:
        raise ValueError("a sparse map does not fit its file")
    return sparse


def old_gnu(block: bytes, more: Callable[[], bytes], stored: int) -> tuple[Map, int]:
    """Return map and real size of an entry of kind ``S``; `more` returns the extension blocks that follow it.

    Raises:
        ValueError: They make no sense.
    """
    parts = _old_entries(block, _OLD_MAP, 4)
    extended = block[_OLD_EXTENDED]
    while extended:
        extension = more()
        parts += _old_entries(extension, 0, 21)
        extended = extension[21 * _ENTRY]
        if len(parts) > 2 * PARTS:
            break
    size = number(block[_OLD_SIZE : _OLD_SIZE + 12])
    return checked(parts, size, stored), size


def _old_entries(block: bytes, start: int, count: int) -> list[int]:
    parts: list[int] = []
    for at in range(start, start + count * _ENTRY, _ENTRY):
        if not block[at + 12]:  # an unused entry has no length
            break
        parts += (number(block[at : at + 12]), number(block[at + 12 : at + _ENTRY]))
    return parts


def form(records: Mapping[bytes, bytes]) -> int | None:
    """Return the form of GNU's sparse records: 1 for 1.0, 0 for 0.0 and 0.1; None for an unknown one.

    As in Go, a file with records of an unknown form is what its header says, including its name.
    """
    version = records.get(b"GNU.sparse.major", b""), records.get(b"GNU.sparse.minor", b"")
    if version == (b"", b""):
        return 0 if records.get(b"GNU.sparse.map") else None
    return {(b"1", b"0"): 1, (b"0", b"0"): 0, (b"0", b"1"): 0}.get(version)


def pax(records: Mapping[bytes, bytes], take: Callable[[], bytes], stored: int) -> tuple[Map, int, int] | None:
    """Return map, real size and length of the data of an entry with GNU's sparse records; None without.

    `take` returns the next block of the body: form 1.0 keeps its map there.

    Raises:
        ValueError: They make no sense.
    """
    found = form(records)
    if found is None:
        return None
    if found:
        size = integer(records.get(b"GNU.sparse.realsize", b""))
        parts, used = _map_in_body(take, stored)
        return checked(parts, size, stored - used), size, stored - used
    listed = records.get(b"GNU.sparse.map")
    size = integer(records.get(b"GNU.sparse.size", records.get(b"GNU.sparse.realsize", b"")))
    parts = [integer(part) for part in listed.split(b",")] if listed else []
    return checked(parts, size, stored), size, stored


def _map_in_body(take: Callable[[], bytes], stored: int) -> tuple[list[int], int]:
    """Read the numbers of form 1.0, one per line, the count first; return them and how many bytes they took."""
    numbers: list[int] = []
    line = b""
    used = 0
    while not numbers or len(numbers) <= 2 * numbers[0] <= 2 * PARTS:
        used += BLOCK
        if used > stored:
            raise ValueError("a sparse map is longer than its entry")
        *lines, line = (line + take()).split(b"\n")
        numbers += [integer(text) for text in lines]
        if len(line) > BLOCK:
            raise ValueError("a sparse map is not made of numbers")
    # What follows the last number is padding; more numbers than announced are not.
    if line.strip(b"\0") or numbers[0] > PARTS:
        raise ValueError("a sparse map is longer than it says")
    return numbers[1 : 1 + 2 * numbers[0]], used
