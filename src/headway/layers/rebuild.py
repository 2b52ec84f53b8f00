"""Gives a layer's exact tar back, from its recipe and its tree.

Rule 1: every body is hashed on its way: a file that is not what it was is told by its name.
Rule 2: what was given out before that is worthless. Whoever cannot take it back checks first (`verified`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from headway.errors import StoreCorruptError, StoreError
from headway.layers.confinement import clamped
from headway.layers.recipe import Recipe
from headway.layers.recipe_format import Column, Op
from headway.layers.tar_entry import plain_entry
from headway.layers.tar_header import BLOCK, unpack_header
from headway.layers.tree_files import ABSENT, TreeFiles, is_file, pieces

_Row = TypeVar("_Row")

_PIECE = 1 << 18


def rebuild(recipe: Recipe, tree: Path) -> Iterator[bytes]:
    """Yield the tar of a layer, in pieces of up to 256 KiB.

    Args:
        recipe: Its recipe, open.
        tree: Its own tree, as it was committed; not one that was derived for a chain.

    Raises:
        StoreCorruptError: While iterating: a file or the recipe is not what was stored.
        StoreError: While iterating: the disk failed.
    """
    with TreeFiles(tree) as files:
        gathered = bytearray()
        for piece in _Rebuilding(recipe, files).run():
            gathered += piece
            if len(gathered) >= _PIECE:
                yield bytes(gathered)
                gathered.clear()
        if gathered:
            yield bytes(gathered)


def verified(recipe: Recipe, tree: Path) -> Iterator[bytes]:
    """Yield what `rebuild` does, and raise at the end unless it is the layer.

    Raises:
        StoreCorruptError: As `rebuild`; or, behind the last piece, the whole has another size or diff ID.
        StoreError: The disk failed.
    """
    whole = hashlib.sha256()
    size = 0
    for piece in rebuild(recipe, tree):
        whole.update(piece)
        size += len(piece)
        yield piece
    if size != recipe.tar_size or f"sha256:{whole.hexdigest()}" != recipe.diff_id:
        raise StoreCorruptError(f"layer {recipe.diff_id} cannot be given back: tree and recipe make another tar")


class _Rebuilding:
    """Follows the steps of one recipe."""

    def __init__(self, recipe: Recipe, files: TreeFiles) -> None:
        self._recipe = recipe
        self._files = files
        self._headers = recipe.headers()
        self._raw = recipe.raw()
        self._run = b""
        self._lengths = recipe.numbers(Column.LENGTHS)
        self._digests = recipe.digests()
        self._sources = recipe.numbers(Column.SOURCES)
        self._sizes = recipe.numbers(Column.SIZES)
        self._paths = recipe.paths()
        self._header = b""

    def run(self) -> Iterator[bytes]:
        padding = 0
        for op in self._recipe.ops():
            if padding and op != Op.UNPADDED:
                yield bytes(padding)
            padding = 0
            if op == Op.HEADER:
                self._header = self._next(self._headers)
                yield self._header
            elif op == Op.RAW:
                yield from self._raw_bytes(self._next(self._lengths))
            elif op != Op.UNPADDED:
                path, size = self._described(op)
                yield from self._body(path, size)
                padding = -size % BLOCK
        yield bytes(padding)

    def _described(self, op: int) -> tuple[bytes, int]:
        """Return path and size of a body."""
        if op == Op.BODY:
            return self._next(self._paths), self._next(self._sizes)
        with self._recipe.checked():
            if op != Op.PLAIN_BODY:
                raise ValueError(f"an unknown step {op}")
            if not self._header:
                raise ValueError("a body before any header")
            entry = plain_entry(unpack_header(self._header))
            if entry.size < 0:
                raise ValueError("a body of a negative size")
            return clamped(entry.name), entry.size

    def _raw_bytes(self, length: int) -> Iterator[bytes]:
        while length:
            if not self._run:
                self._run = self._next(self._raw)
            piece = self._run[:length]
            self._run = self._run[length:]
            length -= len(piece)
            yield piece

    def _body(self, path: bytes, size: int) -> Iterator[bytes]:
        """Yield a body and check it against its digest."""
        source = self._next(self._sources)
        digest = self._next(self._digests)
        actual = hashlib.sha256()
        for piece in self._recipe.kept(source - 1, size) if source else self._file(path, size):
            actual.update(piece)
            yield piece
        if actual.digest() != digest:
            raise StoreCorruptError(f"{_text(path)} of layer {self._recipe.diff_id} is not what was unpacked")

    def _file(self, path: bytes, size: int) -> Iterator[bytes]:
        try:
            with self._files.opened(path) as descriptor:
                if not is_file(descriptor, size):
                    raise StoreCorruptError(f"{_text(path)} of layer {self._recipe.diff_id} has another size or kind")
                yield from pieces(descriptor, _PIECE)
        except OSError as error:
            what = f"{_text(path)} of layer {self._recipe.diff_id}"
            if error.errno in ABSENT:
                raise StoreCorruptError(f"{what} is gone") from error
            raise StoreError(f"cannot read {what}: {error.strerror}") from error

    def _next(self, rows: Iterator[_Row]) -> _Row:
        for row in rows:
            return row
        raise StoreCorruptError(f"recipe {self._recipe.path} is damaged: a column ends too early")


def _text(path: bytes) -> str:
    return repr(path.decode("utf-8", "surrogateescape"))
