"""The format of a recipe, in names and numbers: docs/recipe-format.md says it in words.

Rule: a change of what any byte means is a new `VERSION`; the golden files hold that (tests/contract/test_rebuild.py).
"""

from __future__ import annotations

import struct
from collections.abc import Set as AbstractSet
from enum import IntEnum

from headway.layers.recipe_columns import HEADER_FIELDS

VERSION = 1
"""The only version that exists."""

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
    """What a part is of. Header fields are `HEADER` plus their place in `HEADER_FIELDS`."""

    OPS = 0
    """A byte per step of the archive: see `Op`."""

    RAW = 1
    """Bytes of the archive as they are."""

    LENGTHS = 2
    """Bytes of each run in `RAW`."""

    DIGESTS = 3
    """SHA-256 of each body."""

    SOURCES = 4
    """Where each body is: 0 in the tree, n at n - 1 in `KEPT`."""

    SIZES = 5
    """Bytes of each `Op.BODY`."""

    PATHS = 6
    """Path in the tree of each `Op.BODY`: no leading slash, no ``.``, no ``..``, no symlink on the way."""

    KEPT = 7
    """Bodies that the tree does not hold."""

    HEADER = 16


class Op(IntEnum):
    """A step of the archive."""

    HEADER = 0
    """The next header block."""

    RAW = 1
    """The next run of raw bytes."""

    PLAIN_BODY = 2
    """A body whose size and path the header block before says."""

    BODY = 3
    """A body with a size and a path of its own."""

    UNPADDED = 4
    """No zeros fill up the body before."""


ONE_BYTE_ROWS = frozenset((Column.OPS, Column.RAW, Column.KEPT))
"""Columns that are bytes: a row is one."""

COLUMNS: AbstractSet[int] = frozenset({*Column, *range(Column.HEADER, Column.HEADER + len(HEADER_FIELDS))})
"""All there are."""
