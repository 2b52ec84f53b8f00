"""The format of a recipe, in names and numbers: docs/recipe-format.md says it in words.

Rule: a change of what any byte means is a new `VERSION`; the golden files hold that (tests/unit/test_recipe.py).
"""

from __future__ import annotations

import struct
from enum import IntEnum

VERSION = 2
"""The only version that exists: 1 was never released."""

ROWS = 4096
"""Most rows of a part, but for those of `ONE_BYTE_ROWS`."""

PART = 1 << 20
"""Bytes at which a part of variable length is ended; what is in a part may overshoot by one value."""

MAGIC = b"HEADWAYR"
FILE_HEADER = struct.Struct("<8sHH32sQQII")
"""Magic, version, 0, SHA-256 of the tar, its size, size of this file, number of parts, CRC-32 of all before."""

PART_HEAD = struct.Struct("<BBBBIIII")
"""Column, form, codec, 0, rows, length, stored length, CRC-32 of all before and of the stored bytes behind."""

LONGEST = 2 * PART
"""Bytes that no part is longer than."""

CRC_BYTES = 4


class Column(IntEnum):
    """What a part is of."""

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
    """Bodies that were in the tree and were removed."""

    KEPT_BODIES = 7
    """Which bodies those are, in order: the first body of `CHECKS` is 0."""

    KEPT_AT = 8
    """Where each of those begins in `KEPT`."""

    NAMES = 9
    """The first field of each header block."""

    FIELDS = 10
    """The fields behind it, up to the link's target."""

    TAILS = 11
    """The rest of the block."""


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
    """No zeros fill up what was before."""


class Form(IntEnum):
    """How the rows of a part are written."""

    VERBATIM = 0
    """One after the other, at their full width."""

    TEXT = 1
    """Without trailing NULs, a NUL between two."""

    NUMBERS = 2
    """See `recipe_columns.pack_numbers`."""

    PLANES = 3
    """Their first bytes, then their second ones, and so on."""

    COMPUTED = 4
    """As `PLANES`, without the header's checksum: six digits, a NUL and a space."""


ONE_BYTE_ROWS = frozenset((Column.OPS, Column.RAW, Column.KEPT))
"""Columns that are bytes: a row is one."""
