"""Makes a layer's exact tar again, from its recipe and its tree.

Rule 1: every body is checked while it is read, so that a changed file is reported by name. A CRC-32 finds what decay, a
        crash or a hand did to a file; the diff ID over the whole (`verified`) finds everything.
Rule 2: bytes yielded before such an error are worthless. A caller that cannot take them back checks first (`verified`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from headway.crc32 import crc32
from headway.errors import UNREADABLE, StoreCorruptError, StoreError
from headway.layers.recipes.reading_ahead import Opened, opened_ahead
from headway.layers.recipes.recipe import Recipe
from headway.layers.recipes.steps import Body, bodies, steps
from headway.layers.trees.files import ABSENT, TreeFiles, is_file, pieces

_PIECE = 1 << 18


def rebuild(recipe: Recipe, tree: Path) -> Iterator[bytes]:
    """Yield the tar of a layer, in pieces of up to 256 KiB.

    Args:
        recipe: Its recipe, open.
        tree: Its own tree, as it was committed; not one that was derived for a chain.

    Raises:
        StoreCorruptError: While iterating: the tree, a file or the recipe is not what was stored.
        StoreError: While iterating: the disk failed.
    """
    with _opened_tree(recipe, tree) as files, closing(opened_ahead(steps(recipe), files)) as ahead:
        gathered = bytearray()
        for step, opened in ahead:
            for piece in _checked(recipe, step, opened) if isinstance(step, Body) else (step,):
                gathered += piece
                if len(gathered) >= _PIECE:
                    yield bytes(gathered)
                    gathered.clear()
        if gathered:
            yield bytes(gathered)


def verified(recipe: Recipe, tree: Path) -> Iterator[bytes]:
    """Yield what `rebuild` does, and raise at the end unless it is the layer.

    Raises:
        StoreCorruptError: As `rebuild`; or, after the last piece, the whole has another size or diff ID.
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


def damaged(recipe: Recipe, tree: Path) -> Iterator[tuple[bytes, StoreCorruptError]]:
    """Yield path and fault of every file that differs from what was unpacked; one with several bodies may come twice.

    If it yields nothing although `verified` fails, all that is known is that the layer is damaged.

    Raises:
        StoreCorruptError: While iterating: the recipe itself is not what was stored.
        StoreError: While iterating: the disk failed.
    """
    with _opened_tree(recipe, tree) as files, closing(opened_ahead(bodies(recipe), files)) as ahead:
        for body, opened in ahead:
            if not isinstance(body, Body) or body.kept is not None:
                continue
            try:
                for _ in _checked(recipe, body, opened):
                    pass
            except StoreCorruptError as error:
                yield body.path, error


def misplaced(recipe: Recipe, tree: Path) -> Iterator[tuple[bytes, StoreCorruptError]]:
    """Yield path and fault of every file that is gone, or has another size or kind; no content is read.

    Raises:
        StoreCorruptError: While iterating: the recipe itself is not what was stored.
        StoreError: While iterating: the disk failed.
    """
    with _opened_tree(recipe, tree) as files:
        for body in bodies(recipe):
            if body.kept is not None:
                continue
            try:
                next(_file(recipe, body, _opened(files, body), limit=0), None)
            except StoreCorruptError as error:
                yield body.path, error


def _checked(recipe: Recipe, body: Body, opened: Opened | None) -> Iterator[bytes]:
    """Yield a body, and check it meanwhile."""
    crc = 0
    for piece in recipe.kept(body.kept, body.size) if body.kept is not None else _file(recipe, body, opened):
        crc = crc32(piece, crc)
        yield piece
    if crc != body.check:
        raise StoreCorruptError(f"{_text(body.path)} of layer {recipe.diff_id} is not what was unpacked")


def _file(recipe: Recipe, body: Body, opened: Opened | None, *, limit: int = _PIECE) -> Iterator[bytes]:
    try:
        if not isinstance(opened, int):
            raise opened or FileNotFoundError
        try:
            if not is_file(opened, body.size):
                raise StoreCorruptError(f"{_what(recipe, body)} has another size or kind")
            yield from pieces(opened, limit)
        finally:
            os.close(opened)
    except OSError as error:
        raise _unread(error, _what(recipe, body)) from error


def _opened_tree(recipe: Recipe, tree: Path) -> TreeFiles:
    try:
        return TreeFiles(tree)
    except OSError as error:
        raise _unread(error, f"the tree of layer {recipe.diff_id}") from error


def _unread(error: OSError, what: str) -> StoreError:
    if error.errno in ABSENT:
        return StoreCorruptError(f"{what} is gone")
    kind = StoreCorruptError if error.errno in UNREADABLE else StoreError
    return kind(f"cannot read {what}: {error.strerror}")


def _opened(files: TreeFiles, body: Body) -> Opened:
    try:
        return files.open(body.path)
    except OSError as error:
        return error


def _what(recipe: Recipe, body: Body) -> str:
    return f"{_text(body.path)} of layer {recipe.diff_id}"


def _text(path: bytes) -> str:
    return repr(path.decode("utf-8", "surrogateescape"))
