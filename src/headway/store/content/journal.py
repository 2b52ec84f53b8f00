"""The format of an ingest's journal, which records the pieces of the data file that have arrived.

Rule 1: encoding and decoding only; no file is opened here.
Rule 2: a record is written after its piece. Only a power cut, after which the two may have reached the disk in another
        order, can leave a record without its piece. The boot ID tells whether there was a boot in between, and the CRC
        whether the piece is there.
Rule 3: a slow link brings a gigabyte in 700,000 packets, so a piece that continues another one extends its record. A
        record that was synced is not extended: otherwise a power cut could cost a piece that was safe.

Format, little endian: a header of 36 bytes, then records of 16 bytes in the order of arrival. An incomplete record at
the end is ignored.

    header   magic "HWJ1", version u32, boot ID (16 bytes), size of the blob u64, crc32 of the rest u32
    record   offset u64, length u32, crc32 of the piece u32
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from headway.crc32 import crc32
from headway.distribution.ranges import Ranges

_MAGIC = b"HWJ1"
_VERSION = 1
_HEADER = struct.Struct("<4sI16sQI")
_RECORD = struct.Struct("<QII")

HEADER_LENGTH = _HEADER.size
RECORD_LENGTH = _RECORD.size
GROWS_TO = 256 << 10
"""Bytes of a piece after which its record is not extended any more, as a power cut may cost a whole piece."""


class Record(NamedTuple):
    """One piece that arrived.

    Attributes:
        offset: Where it starts in the blob.
        length: In bytes.
        crc: crc32 of the piece.
    """

    offset: int
    length: int
    crc: int


class Journal(NamedTuple):
    """A decoded journal.

    Attributes:
        boot_id: The boot during which its records were written, 16 bytes.
        size: Size of the blob.
        records: Those that lie within the blob; nothing else is checked.
    """

    boot_id: bytes
    size: int
    records: list[Record]


def encode(boot_id: bytes, size: int, records: Iterable[Record] = ()) -> bytes:
    """Return a whole journal."""
    header = _HEADER.pack(_MAGIC, _VERSION, boot_id, size, 0)[:-4]
    return b"".join((header, crc32(header).to_bytes(4, "little"), *(_RECORD.pack(*one) for one in records)))


def grown(before: Record | None, offset: int, piece: bytes) -> Record:
    """Return the record of a piece, joined with the record `before` that ends where it begins (None for none)."""
    if before is None:
        return Record(offset, len(piece), crc32(piece))
    return Record(before.offset, before.length + len(piece), crc32(piece, before.crc))


def may_grow(record: Record) -> bool:
    """Tell whether a record may be extended by the piece that follows its own."""
    return record.length < GROWS_TO


def encode_record(record: Record) -> bytes:
    """Return the bytes of a record."""
    return _RECORD.pack(*record)


def decode(data: bytes) -> Journal | None:
    """Return a decoded journal; None if its header is not valid."""
    if len(data) < HEADER_LENGTH:
        return None
    magic, version, boot_id, size, crc = _HEADER.unpack_from(data)
    if magic != _MAGIC or version != _VERSION or crc != crc32(data[: HEADER_LENGTH - 4]):
        return None
    end = len(data) - (len(data) - HEADER_LENGTH) % RECORD_LENGTH
    records = [
        Record(offset, length, piece_crc)
        for offset, length, piece_crc in _RECORD.iter_unpack(data[HEADER_LENGTH:end])
        if 0 < length <= size - offset
    ]
    return Journal(boot_id, size, records)


def held(records: Iterable[Record]) -> Ranges:
    """Return which bytes the records cover."""
    return Ranges(_runs(records))


def _runs(records: Iterable[Record]) -> Iterator[tuple[int, int]]:
    """Join records that continue each other, as most do: there are 4,000 in a gigabyte."""
    start = end = 0
    for offset, length, _ in records:
        if offset != end:
            yield start, end
            start = offset
        end = offset + length
    yield start, end
