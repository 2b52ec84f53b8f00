"""Directories of unpacked layers, and their recipes: private while being made, then in ``trees/`` and ``recipes/``.

Rule 1: a directory moves in last: synced, its recipe renamed, itself renamed, the names synced. What moves in without
        a row (`trees.layers`) is not here, and gives way to the next that comes.
Rule 2: what has not moved in is removed, unless a note says that it is whole (`trees.whole_trees`) and the disk has not
        failed meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from headway.errors import OutOfOrderError, StoreError
from headway.paths import is_directory
from headway.records import recipe_beside
from headway.store.data_root import DataRoot
from headway.store.durable import fsync_directory
from headway.store.failures import disk_errors
from headway.store.removal import move_out, remove_tree
from headway.store.trees.syncing import Syncer
from headway.store.trees.whole_trees import drop_note, note_beside


class TreeDirectories:
    """Makes directories, and moves them to their places.

    Args:
        root: The data root.
        syncer: Makes them durable.
    """

    def __init__(self, root: DataRoot, syncer: Syncer) -> None:
        self._root = root
        self._syncer = syncer
        self._private: dict[Path, int] = {}

    @contextmanager
    def new(self) -> Iterator[Path]:
        """See `interfaces.layers.LayerStore.new_tree`."""
        path = self._root.private()
        with self.owning(path):
            with disk_errors(path):
                path.mkdir()
                # The root of a container's file system where no layer says otherwise, whatever the umask.
                path.chmod(0o755)
            yield path

    @contextmanager
    def owning(self, path: Path) -> Iterator[None]:
        """Have a private directory to be moved in; it is removed at the end unless it was."""
        with self._syncer.watching() as mark:
            self._private[path] = mark
            stays = False
            try:
                yield
            except Exception as error:
                # It was not the disk: the database was closed under it, say. It is whole all the same.
                stays = not isinstance(error, StoreError) and os.path.exists(note_beside(path))
                raise
            finally:
                del self._private[path]
                if not stays:
                    self._remove(path)

    @staticmethod
    def _remove(path: Path) -> None:
        with suppress(StoreError):  # with its note, a tree stays: whoever starts next commits it
            drop_note(path)
            _drop(path)
            _drop(recipe_beside(path))

    def sync(self, paths: Sequence[Path]) -> None:
        """Sync private directories, and recipes beside them; the first was begun first, and its mark does for all.

        Raises:
            OutOfOrderError: The first is not private.
            StoreError: The disk failed.
        """
        mark = self._private.get(paths[0])
        if mark is None:
            raise OutOfOrderError(f"{paths[0]} is not from new_tree")
        self._syncer.sync(mark, [*paths, *map(recipe_beside, paths)])

    def move_in(self, path: Path, name: str) -> None:
        """Move a private directory to its place in ``trees/``.

        Raises:
            StoreError: The disk failed.
        """
        target = self._root.trees / name
        # What is there has no row: a commit was cut short behind the rename.
        if (private := move_out(self._root, target)) is not None:
            _drop(private)
        with disk_errors(target):
            os.rename(path, target)

    def move_recipe_in(self, path: Path, name: str) -> None:
        """Move the recipe beside a private directory to its place; without one there, none is left there.

        Raises:
            StoreError: The disk failed.
        """
        recipe = self._cleared(name)
        with disk_errors(recipe):
            try:
                os.rename(recipe_beside(path), recipe)
            except FileNotFoundError:
                recipe.unlink(missing_ok=True)  # of a commit that was cut short

    def remove_recipe(self, name: str) -> None:
        """Remove a recipe if there is one.

        Raises:
            StoreError: The disk failed.
        """
        recipe = self._cleared(name)
        with disk_errors(recipe):
            recipe.unlink(missing_ok=True)

    def _cleared(self, name: str) -> Path:
        """Return where a recipe belongs; a directory that is there, where none belongs, is removed."""
        recipe = self._root.recipes / name
        with disk_errors(recipe):
            if is_directory(recipe) and (private := move_out(self._root, recipe)) is not None:
                remove_tree(private)
        return recipe

    def sync_names(self) -> None:
        """Sync what has moved in, as far as names go.

        Raises:
            StoreError: The disk failed.
        """
        with disk_errors(self._root.trees):
            fsync_directory(self._root.recipes)
            fsync_directory(self._root.trees)


def _drop(path: Path) -> None:
    with suppress(StoreError):  # then the next start removes it
        remove_tree(path)
