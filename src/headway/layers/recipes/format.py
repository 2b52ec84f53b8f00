"""The names and numbers of the recipe format, which docs/recipe-format.md describes.

Rule: any change of what a byte means is a new `VERSION`; golden files watch over this (tests/unit/test_recipe.py).
"""

from __future__ import annotations

import struct
from enum import IntEnum

VERSION = 2
"""The only version that exists: 1 was never released."""

ROWS = 4096
"""Most rows of a part, except in columns of `ONE_BYTE_ROWS`."""

PART = 1 << 20
"""Bytes after which a part of variable length ends; it may exceed them by one value."""

MAGIC = b"HEADWAYR"
FILE_HEADER = struct.Struct("<8sHH32sQQII")
"""Magic, version, 0, SHA-256 of the tar, its size, size of this file, number of parts, CRC-32 of the fields before."""

PART_HEAD = struct.Struct("<BBBBIIII")
"""Column, form, codec, 0, rows, length, stored length, CRC-32 of the fields before and the stored bytes behind."""

LONGEST = 2 * PART
"""Largest length of a part, in bytes."""

CRC_BYTES = 4


class Column(IntEnum):
    """The columns of a recipe; each part belongs to one."""

    OPS = 0
    """A byte per step of the archive: see `Op`."""

    RAW = 1
    """Bytes of the archive as they are."""

    LENGTHS = 2
    """Bytes of each `Op.RAW`."""

    CHECKS = 3
    """CRC-32, four bytes, of each body of at least one byte that is not in `RAW`."""

    SIZES = 4
    """Bytes of each `Op.BODY`."""

    PATHS = 5
    """Path in the tree of each `Op.BODY`: no leading slash, no ``.``, no ``..``, no symlink on the way.

    An empty one means that the body is in `RAW`.
    """

    KEPT = 6
    """Bodies that are not in the tree, because the layer itself removed or replaced them."""

    KEPT_BODIES = 7
    """Indexes of those bodies, in order: the first body of `CHECKS` is 0."""

    KEPT_AT = 8
    """Where each of those bodies begins in `KEPT`."""

    NAMES = 9
    """The first field of each header block."""

    FIELDS = 10
    """The fields behind the name, up to the link's target."""

    TAILS = 11
    """The rest of each header block."""


class Op(IntEnum):
    """A step of the archive."""

    ENTRY = 0
    """The next header block, the body that it describes, if it does, and zeros up to the next block."""

    EXTENSION = 1
    """The next header block, as many raw bytes as it says, and zeros up to the next block."""

    HEADER = 2
    """The next header block alone."""

    BODY = 3
    """A body with a size and a path of its own, and zeros up to the next block."""

    RAW = 4
    """A run of raw bytes."""

    UNPADDED = 5
    """The step before is not padded with zeros."""


class Form(IntEnum):
    """How the rows of a part are written."""

    VERBATIM = 0
    """One after the other, at full width."""

    TEXT = 1
    """Without trailing NULs, separated by a NUL."""

    NUMBERS = 2
    """See `columns.pack_numbers`."""

    PLANES = 3
    """The first byte of each row, then the second byte of each, and so on."""

    COMPUTED = 4
    """As `PLANES`, without the header's checksum, which is computed: six digits, a NUL and a space."""


ONE_BYTE_ROWS = frozenset((Column.OPS, Column.RAW, Column.KEPT))
"""Columns in which a row is one byte."""
