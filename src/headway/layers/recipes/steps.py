"""Follows the steps of a recipe: the parts of the archive, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from headway.errors import StoreCorruptError
from headway.layers.recipes.format import Column, Op
from headway.layers.recipes.recipe import Recipe
from headway.layers.tar.entry import holds_body, outline
from headway.layers.tar.header import BLOCK, unpack_header
from headway.layers.trees.confinement import clamped

_Row = TypeVar("_Row")


class Body(msgspec.Struct, frozen=True, gc=False):
    """The content of a file.

    Attributes:
        number: Which one it is; the first is 0.
        path: Where it is in the tree.
        size: Its bytes, at least one.
        check: CRC-32 of them.
        kept: Where it begins in the bodies that the recipe keeps; None if it is in the tree.
    """

    number: int
    path: bytes
    size: int
    check: int
    kept: int | None


def steps(recipe: Recipe) -> Iterator[bytes | Body]:
    """Yield the bytes of the archive that the recipe holds, and a `Body` in the place of each body.

    Raises:
        StoreCorruptError: While iterating: the recipe is not what was stored.
        StoreError: While iterating: the disk failed.
    """
    return _Steps(recipe).run()


def bodies(recipe: Recipe) -> Iterator[Body]:
    """Yield the bodies only."""
    return (step for step in steps(recipe) if isinstance(step, Body))


class _Steps:
    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._headers = recipe.headers()
        self._raw = recipe.raw()
        self._run = b""
        self._lengths = recipe.numbers(Column.LENGTHS)
        self._checks = recipe.checks()
        self._sizes = recipe.numbers(Column.SIZES)
        self._paths = recipe.paths()
        self._kept = zip(recipe.numbers(Column.KEPT_BODIES), recipe.numbers(Column.KEPT_AT), strict=False)
        self._next_kept = next(self._kept, None)
        self._bodies = 0

    def run(self) -> Iterator[bytes | Body]:
        padding = 0
        for op in self._recipe.ops():
            if padding and op != Op.UNPADDED:
                yield bytes(padding)
            padding = 0
            if op == Op.RAW:
                yield from self._raw_bytes(self._next(self._lengths))
                continue
            if op == Op.BODY:
                path, size = self._next(self._paths), self._next(self._sizes)
            elif op == Op.UNPADDED:
                continue
            else:
                header = self._next(self._headers)
                yield header
                path, size = self._described(op, header)
            if op == Op.EXTENSION or (op == Op.BODY and not path):
                yield from self._raw_bytes(size)
            elif size:
                yield self._body(path, size)
            padding = -size % BLOCK
        yield bytes(padding)

    def _described(self, op: int, header: bytes) -> tuple[bytes, int]:
        """Return path and size of what follows a header."""
        with self._recipe.checked():
            if op == Op.HEADER:
                return b"", 0
            if op not in (Op.ENTRY, Op.EXTENSION):
                raise ValueError(f"an unknown step {op}")
            # No more than that is looked at: of an extension's header nobody has checked the rest.
            name, kind, size = outline(unpack_header(header))
            if not holds_body(kind, name):
                return b"", 0  # a whiteout that is a pipe, with a size
            if size < 0:
                raise ValueError("a body of a negative size")
            return clamped(name), size

    def _raw_bytes(self, length: int) -> Iterator[bytes]:
        while length:
            if not self._run:
                self._run = self._next(self._raw)
            piece = self._run[:length]
            self._run = self._run[length:]
            length -= len(piece)
            yield piece

    def _body(self, path: bytes, size: int) -> Body:
        number, kept = self._bodies, None
        self._bodies += 1
        if self._next_kept is not None and self._next_kept[0] == number:
            kept = self._next_kept[1]
            self._next_kept = next(self._kept, None)
        return Body(number, path, size, self._next(self._checks), kept)

    def _next(self, rows: Iterator[_Row]) -> _Row:
        for row in rows:
            return row
        raise StoreCorruptError(f"recipe {self._recipe.path} is damaged: a column ends too early")
