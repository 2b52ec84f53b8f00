"""Unpacked layers, and chains of them.

Rule 1: a tree is published last: its directory moves in (store/trees/directories.py), then its row. What has no row is
        not here.
Rule 2: a tree that does not stand alone is never stacked as it is: its chain gets one derived from it.
Rule 3: what is removed goes another way (store/space/garbage.py), which nobody meets: its row first, then its name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TypeAlias

import msgspec

from headway.errors import NotFoundError, StoreCorruptError
from headway.oci.digest import ChainID, DiffID, Digest, chain_ids
from headway.oci.image_config import MAX_LAYERS, check_depth
from headway.paths import is_file, is_there
from headway.records import ChainSize, LayerReport, TarParts, Tree, recipe_beside
from headway.store.data_root import DataRoot
from headway.store.database.batches import Batches
from headway.store.database.database import Database
from headway.store.failures import disk_errors
from headway.store.trees.directories import TreeDirectories
from headway.store.trees.layer_rows import decode_report, derived_directory, encode_report, tree_directory
from headway.store.trees.syncing import Syncer
from headway.store.trees.whole_trees import WholeTree, write_note

Derive: TypeAlias = Callable[[Sequence[Tree], Tree, Path], LayerReport]
"""Makes, in an empty directory, the tree that stands for a layer over lower trees (bottom first).

The report is the new tree's; its `disk_bytes` are what it takes up beyond the layer's own tree.
"""

_CHAIN = """
WITH RECURSIVE chain (chain_id, parent, diff_id, directory, report, depth) AS (
    SELECT chain_id, parent, diff_id, directory, report, 0 FROM chains WHERE chain_id = ?
    UNION ALL
    SELECT chains.chain_id, chains.parent, chains.diff_id, chains.directory, chains.report, depth + 1
    FROM chains JOIN chain ON chains.chain_id = chain.parent WHERE depth < ?
)
SELECT chain.directory, coalesce(chain.report, trees.report)
FROM chain JOIN trees ON trees.diff_id = chain.diff_id ORDER BY depth DESC
"""


class SqliteLayerStore:
    """`LayerStore` as directories in ``trees/`` and rows in the database.

    Args:
        root: The data root.
        database: Its database.
        derive: See `Derive`.
        syncer: Makes trees durable; by default the data root's file system is synced.
        boot_id: What ``/proc/sys/kernel/random/boot_id`` says; without it no tree is kept before its commit.
    """

    def __init__(
        self, root: DataRoot, database: Database, *, derive: Derive, syncer: Syncer | None = None, boot_id: str = ""
    ) -> None:
        self._root = root
        self._database = database
        self._derive = derive
        self._directories = TreeDirectories(root, syncer or Syncer(root.tmp))
        self._boot_id = boot_id
        self._publishing = Batches(self._publish_trees)

    def has_tree(self, diff_id: DiffID) -> bool:
        """Tell whether the layer is here, unpacked and committed."""
        return bool(self._database.query("SELECT 1 FROM trees WHERE diff_id = ?", (diff_id,)))

    def has_chain(self, chain_id: ChainID) -> bool:
        """Tell whether a chain is here."""
        return bool(self._database.query("SELECT 1 FROM chains WHERE chain_id = ?", (chain_id,)))

    def new_tree(self) -> AbstractContextManager[Path]:
        """Give an empty private directory to unpack into; it is removed at the end unless it was committed.

        So is a recipe that was put beside it (`records.recipe_beside`).

        Raises:
            StoreFullError: No space left.
            StoreError: The disk failed.
        """
        return self._directories.new()

    def owning(self, path: Path) -> AbstractContextManager[None]:
        """Have a private directory for `commit_tree`; it is removed at the end unless it was committed."""
        return self._directories.owning(path)

    def keep_tree(self, diff_id: DiffID, path: Path, report: LayerReport) -> bool:
        """Make a private directory, which is whole, survive a kill of this process; tell whether that was possible."""
        return bool(self._boot_id) and write_note(WholeTree(path, diff_id, report), self._boot_id)

    def commit_tree(self, diff_id: DiffID, path: Path, report: LayerReport) -> None:
        """Sync and publish a private directory as the tree of `diff_id`; the caller has verified the diff ID.

        A recipe beside it (`records.recipe_beside`) is published first, and goes when the tree goes. Where the tree is
        here already, the private one is dropped, and only its recipe taken where there was none: the same layer makes
        the same tree.
        """
        self._directories.sync([path])
        self._publishing.do(WholeTree(path, diff_id, report))

    def _publish_trees(self, batch: Sequence[WholeTree]) -> None:
        with self._database.transaction():
            for tree in batch:
                self._publish_tree(tree)
            self._directories.sync_names()

    def _publish_tree(self, tree: WholeTree) -> None:
        name, report = tree_directory(tree.diff_id), tree.report
        if self.has_tree(tree.diff_id):
            self._adopt_recipe(tree.path, tree.diff_id)
            return
        self._directories.move_recipe_in(tree.path, name)
        self._directories.move_in(tree.path, name)
        self._database.execute(
            "INSERT INTO trees (diff_id, size, disk_bytes, report) VALUES (?, ?, ?, ?)",
            (tree.diff_id, report.size, report.disk_bytes, encode_report(report)),
        )

    def tar_parts(self, diff_id: DiffID) -> TarParts | None:
        """Return what gives a layer's tar back; None where the layer is not here, or was committed without a recipe."""
        recipe = self._root.recipes / tree_directory(diff_id)
        with disk_errors(recipe):
            has_recipe = is_file(recipe)
        if not (has_recipe and self.has_tree(diff_id)):
            return None
        return TarParts(self._root.trees / tree_directory(diff_id), recipe)

    def _adopt_recipe(self, path: Path, diff_id: DiffID) -> None:
        with disk_errors(path):
            has_recipe = is_there(recipe_beside(path))
        if has_recipe and self.tar_parts(diff_id) is None:
            self._directories.move_recipe_in(path, tree_directory(diff_id))

    def commit_chain(self, diff_ids: Sequence[DiffID]) -> ChainID | None:
        """Publish every prefix of `diff_ids` as a chain; return the last chain ID, None for no layers."""
        if not diff_ids:
            return None
        check_depth(len(diff_ids))
        chain = chain_ids(diff_ids)
        if self.has_chain(chain[-1]):
            return chain[-1]
        with ExitStack() as private:
            steps = self._steps(diff_ids, chain, private)
            derived = [step.tree.path for step in steps if step.is_derived]
            if derived:
                self._directories.sync(derived)
            with self._database.transaction():
                self._publish(steps)
        return chain[-1]

    def _steps(self, diff_ids: Sequence[DiffID], chain: Sequence[ChainID], private: ExitStack) -> list[_Step]:
        """Return what is to be published, bottom first; the trees that had to be derived are made."""
        steps: list[_Step] = []
        trees: list[Tree] = []
        for parent, chain_id, diff_id in zip([None, *chain], chain, diff_ids, strict=False):
            tree = self._chain_tree(chain_id)
            if tree is None:
                step = self._step(parent, chain_id, diff_id, trees, private)
                steps.append(step)
                tree = step.tree
            trees.append(tree)
        return steps

    def _step(
        self,
        parent: ChainID | None,
        chain_id: ChainID,
        diff_id: DiffID,
        lower: Sequence[Tree],
        private: ExitStack,
    ) -> _Step:
        rows = self._database.query("SELECT report FROM trees WHERE diff_id = ?", (diff_id,))
        if not rows:
            raise NotFoundError("layer", diff_id)
        tree = self._tree(tree_directory(diff_id), rows[0][0])
        # What the bottom layer links to is looked for as well: a link to nothing is refused wherever it is.
        if tree.report.stands_alone or not (lower or tree.report.lower_links):
            return _Step(chain_id, parent, diff_id, tree, is_derived=False)
        path = private.enter_context(self.new_tree())
        tree = Tree(path, self._derive(list(lower), tree, path))
        return _Step(chain_id, parent, diff_id, tree, is_derived=True)

    def _publish(self, steps: Iterable[_Step]) -> None:
        steps = [step for step in steps if not self.has_chain(step.chain_id)]
        derived = [step for step in steps if step.is_derived]
        for step in derived:
            self._directories.move_in(step.tree.path, step.directory)
        if derived:
            self._directories.sync_names()
        try:
            self._database.execute_each(
                "INSERT INTO chains (chain_id, parent, diff_id, directory, derived_bytes, report)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [step.row() for step in steps],
            )
        except sqlite3.IntegrityError as error:
            raise NotFoundError("layer", steps[-1].chain_id, "it was removed meanwhile") from error

    def trees(self, chain_id: ChainID | None) -> list[Tree]:
        """Return the trees of a chain, bottom layer first; none for None."""
        if chain_id is None:
            return []
        rows = self._database.query(_CHAIN, (chain_id, MAX_LAYERS))
        if not rows:
            raise NotFoundError("chain", chain_id)
        if len(rows) > MAX_LAYERS:
            raise StoreCorruptError(f"the database is damaged: chain {chain_id} leads back to itself")
        return [self._tree(*row) for row in rows]

    def _chain_tree(self, chain_id: ChainID) -> Tree | None:
        rows = self._database.query(
            "SELECT directory, coalesce(chains.report, trees.report)"
            " FROM chains JOIN trees USING (diff_id) WHERE chain_id = ?",
            (chain_id,),
        )
        return self._tree(*rows[0]) if rows else None

    def _tree(self, directory: str, report: str) -> Tree:
        return Tree(self._root.trees / directory, decode_report(report))

    def sizes(self) -> dict[ChainID, ChainSize]:
        """Return every chain with the one below it and what its top layer adds, in one question."""
        rows = self._database.query("SELECT chain_id, parent, trees.size FROM chains JOIN trees USING (diff_id)")
        return {
            ChainID(Digest(chain_id)): ChainSize(None if parent is None else ChainID(Digest(parent)), size)
            for chain_id, parent, size in rows
        }


class _Step(msgspec.Struct, frozen=True):
    """One chain to be published."""

    chain_id: ChainID
    parent: ChainID | None
    diff_id: DiffID
    tree: Tree
    is_derived: bool

    @property
    def directory(self) -> str:
        return derived_directory(self.chain_id) if self.is_derived else tree_directory(self.diff_id)

    def row(self) -> tuple[str | int | None, ...]:
        report = self.tree.report if self.is_derived else None
        return (
            self.chain_id,
            self.parent,
            self.diff_id,
            self.directory,
            report.disk_bytes if report else 0,
            encode_report(report) if report else None,
        )
