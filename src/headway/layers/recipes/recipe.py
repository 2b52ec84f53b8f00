"""Reads recipes, from which a layer's exact tar is made together with its tree (docs/recipe-format.md).

Rule 1: the file is not trusted: lengths are checked before they are used, each part has a CRC, and an error is a
        `StoreCorruptError` that names the file.
Rule 2: at most one part of each column is in memory at a time.
"""

from __future__ import annotations

import os
import stat
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from headway.crc32 import crc32
from headway.errors import DAMAGED, NotFoundError, StoreCorruptError, StoreError
from headway.layers.recipes.codec import expanded
from headway.layers.recipes.columns import join_headers, unpack_numbers
from headway.layers.recipes.format import (
    CRC_BYTES,
    FILE_HEADER,
    LONGEST,
    MAGIC,
    ONE_BYTE_ROWS,
    PART_HEAD,
    ROWS,
    VERSION,
    Column,
    Form,
)
from headway.layers.trees.directories import READ
from headway.oci.digest import DiffID, Digest

_Read = TypeVar("_Read")


_COLUMNS = frozenset(Column)


class _Part(msgspec.Struct, frozen=True, gc=False):
    """The position of a part, and the fields of its head."""

    at: int
    form: int
    codec: int
    rows: int
    length: int
    stored: int
    head: bytes
    crc: int


class Recipe:
    """A recipe that is open for reading. A context manager.

    Args:
        path: The file.

    Attributes:
        path: The file.
        diff_id: The layer.
        tar_size: Length of its tar, in bytes.

    Raises:
        NotFoundError: There is no such file.
        StoreCorruptError: From every method: the file is damaged, or was written by a newer version of Headway.
        StoreError: From every method: the disk failed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, READ)
        except FileNotFoundError as error:
            raise NotFoundError("recipe", path.name) from error
        except OSError as error:
            raise _unread(path, error) from error
        try:
            with self.checked():
                if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                    raise ValueError("it is no file")  # noqa: TRY301  # `checked` says which
                self.diff_id, self.tar_size, parts = self._header()
                self._parts = self._scan(parts)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._kept_ends = list(accumulate(part.rows for part in self._parts.get(Column.KEPT, ())))
        self._kept_part = (-1, b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Translate errors that occur while the recipe is read, or while its content is used."""
        try:
            yield
        except ValueError as error:
            raise StoreCorruptError(f"recipe {self.path} is damaged: {error}") from error
        except OSError as error:
            raise _unread(self.path, error) from error

    # --- columns ---

    def ops(self) -> Iterator[int]:
        """Yield the steps of the archive."""
        for data in self._each(Column.OPS, self._data):
            yield from data

    def raw(self) -> Iterator[bytes]:
        """Yield the raw bytes, in pieces."""
        return self._each(Column.RAW, self._data)

    def numbers(self, column: Column) -> Iterator[int]:
        """Yield the rows of a column of numbers."""
        for numbers in self._each(column, lambda part: unpack_numbers(self._data(part), part.rows)):
            yield from numbers

    def checks(self) -> Iterator[int]:
        """Yield the CRC-32 of each body."""
        for data in self._each(Column.CHECKS, self._checks):
            yield from data

    def paths(self) -> Iterator[bytes]:
        """Yield the path of each body that does not take it from its header."""
        for paths in self._each(Column.PATHS, self._texts):
            yield from paths

    def headers(self) -> Iterator[bytes]:
        """Yield every header block."""
        columns = [self._parts.get(column, []) for column in (Column.NAMES, Column.FIELDS, Column.TAILS)]
        with self.checked():
            groups = list(zip(*columns, strict=True))
        for group in groups:
            with self.checked():
                blocks = self._blocks(group)
            yield from blocks

    def kept(self, at: int, size: int) -> Iterator[bytes]:
        """Yield a body that the tree does not hold, in pieces."""
        with self.checked():
            if at + size > (self._kept_ends[-1] if self._kept_ends else 0):
                raise ValueError("a body beyond what was kept")
            while size:
                number = bisect_right(self._kept_ends, at)
                if self._kept_part[0] != number:
                    self._kept_part = (number, self._data(self._parts[Column.KEPT][number]))
                start = at - (self._kept_ends[number - 1] if number else 0)
                piece = self._kept_part[1][start : start + size]
                yield piece
                at += len(piece)
                size -= len(piece)

    # --- parts ---

    def _each(self, column: int, read: Callable[[_Part], _Read]) -> Iterator[_Read]:
        for part in self._parts.get(column, ()):
            with self.checked():
                rows = read(part)
            yield rows

    def _blocks(self, group: tuple[_Part, ...]) -> list[bytes]:
        names, fields, tails = ((Form(part.form), self._data(part)) for part in group)
        if len({part.rows for part in group}) != 1:
            raise ValueError("columns of headers with different lengths")
        return join_headers((names, fields, tails), group[0].rows)

    def _checks(self, part: _Part) -> tuple[int, ...]:
        data = self._data(part)
        if len(data) != 4 * part.rows:
            raise ValueError("a column of checksums of a wrong length")
        return struct.unpack(f"<{part.rows}I", data)

    def _texts(self, part: _Part) -> list[bytes]:
        texts = self._data(part).split(b"\0")
        if len(texts) != part.rows:
            raise ValueError("a column of paths of a wrong length")
        return texts

    def _data(self, part: _Part) -> bytes:
        stored = self._read(part.at, part.stored)
        if crc32(stored, crc32(part.head)) != part.crc:
            raise ValueError(f"a wrong checksum at byte {part.at}")
        return expanded(part.codec, stored, part.length)

    def _header(self) -> tuple[DiffID, int, int]:
        header = self._read(0, FILE_HEADER.size)
        magic, version, _, digest, tar_size, size, parts, crc = FILE_HEADER.unpack(header)
        if magic != MAGIC:
            raise ValueError("it does not begin as one")
        if version != VERSION:
            raise ValueError(f"it has format {version}; this Headway knows {VERSION}")
        if crc32(header[:-CRC_BYTES]) != crc:
            raise ValueError("a wrong checksum of its header")
        if os.fstat(self._descriptor).st_size != size:
            raise ValueError("a wrong length")
        return DiffID(Digest(f"sha256:{digest.hex()}")), tar_size, parts

    def _scan(self, count: int) -> dict[int, list[_Part]]:
        """Read the head of every part."""
        found: dict[int, list[_Part]] = {}
        at, size = FILE_HEADER.size, os.fstat(self._descriptor).st_size
        while at < size:
            head = self._read(at, PART_HEAD.size)
            column, form, codec, _, rows, length, stored, crc = PART_HEAD.unpack(head)
            at += PART_HEAD.size
            part = _Part(at, form, codec, rows, length, stored, head[:-CRC_BYTES], crc)
            _check(column, part, size)
            found.setdefault(column, []).append(part)
            at += stored
        if sum(map(len, found.values())) != count:
            raise ValueError("a wrong number of parts")
        return found

    def _read(self, at: int, length: int) -> bytes:
        data = os.pread(self._descriptor, length, at)
        if len(data) != length:
            raise ValueError(f"it ends at byte {at + len(data)}")
        return data


def _check(column: int, part: _Part, size: int) -> None:
    """Refuse a part whose head has impossible values."""
    if column not in _COLUMNS:
        raise ValueError(f"an unknown column {column} at byte {part.at}")
    if part.length > LONGEST or part.stored > part.length or part.at + part.stored > size:
        raise ValueError(f"a part that is too long at byte {part.at}")
    most = part.length if column in ONE_BYTE_ROWS else ROWS
    if not 0 < part.rows <= most or (column in ONE_BYTE_ROWS and part.rows != part.length):
        raise ValueError(f"a part with a wrong number of rows at byte {part.at}")


def _unread(path: Path, error: OSError) -> StoreError:
    kind = StoreCorruptError if error.errno in DAMAGED else StoreError
    return kind(f"cannot read the recipe {path}: {error.strerror}")
