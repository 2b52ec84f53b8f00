"""Checks a tree against its report and its recipe.

Rule 1: with a recipe, every file is known: its place, its size, a CRC-32 of its content, and the SHA-256 of the whole
        (the diff ID). Without one, the sum of sizes is all there is.
Rule 2: a tree that was derived for a chain shares its files with the layer's own, so that counting them is enough.
Rule 3: symlinks and empty files are in no recipe's bodies: the sum of sizes, which counts targets, and the number of
        names tell of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headway.errors import UNREADABLE, NotFoundError, StoreCorruptError, StoreError
from headway.interfaces.inventory import StoredTree
from headway.layers.recipes.rebuild import damaged, misplaced, verified
from headway.layers.recipes.recipe import Recipe
from headway.layers.trees.files import ABSENT, TreeFiles, sums
from headway.paths import is_directory


def examine_tree(tree: StoredTree, *, full: bool) -> Iterator[str]:
    """Yield what is wrong with a tree; this is an `interfaces.inventory.Examine`."""
    try:
        yield from _examine(tree, full=full)
    except OSError as error:
        if error.errno in UNREADABLE:
            yield f"it cannot be read: {error.strerror}"
        elif error.errno in ABSENT:
            yield "it was removed or changed while it was read"
        else:
            raise StoreError(f"cannot read {tree.path}: {error.strerror}") from error


def _examine(tree: StoredTree, *, full: bool) -> Iterator[str]:
    if not is_directory(tree.path, follow=False):
        yield "its files are gone"
        return
    told = False
    if tree.recipe is not None:
        for fault in _against_recipe(tree.path, tree.recipe, full=full):
            told = True
            yield fault
    if told:
        return
    with TreeFiles(tree.path) as files:
        size, count = sums(status for _, status in files.walk())
    if tree.size is not None and size != tree.size:
        yield f"its files have {size:,} bytes; they had {tree.size:,}"
    if tree.members and count != tree.members:
        yield f"it has {count:,} files; it had {tree.members:,}"


def _against_recipe(tree: Path, path: Path, *, full: bool) -> Iterator[str]:
    try:
        with Recipe(path) as recipe:
            if not full:
                yield from (str(fault) for _, fault in misplaced(recipe, tree))
                return
            try:
                for _ in verified(recipe, tree):
                    pass
            except StoreCorruptError as error:
                faults = [str(fault) for _, fault in damaged(recipe, tree)]
                yield from dict.fromkeys(faults or [str(error)])
    except NotFoundError:
        yield "its recipe is gone"
    except StoreCorruptError as error:
        yield str(error)
