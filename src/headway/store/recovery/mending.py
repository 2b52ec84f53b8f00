"""A layer store for repairs, in which damaged trees count as absent until they have been fetched again.

Rule 1: a new tree takes the place of the damaged one in one step (renameat2(2), RENAME_EXCHANGE): an image is never
        without its layer.
Rule 2: trees that were derived from a damaged one, or above it, are derived again once all layers are right.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from headway.libc import failure, libc
from headway.oci.digest import ChainID, DiffID, Digest
from headway.records import LayerReport, Tree
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.failures import disk_errors
from headway.store.removal import move_out, remove_tree
from headway.store.trees.layer_rows import derived_directory, encode_report, stacks, tree_directory
from headway.store.trees.layers import Derive, SqliteLayerStore

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h
_CANNOT_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.ENOENT, errno.EXDEV)  # EXDEV: overlay, of a lower directory


class MendingLayerStore(SqliteLayerStore):
    """`LayerStore` over a store with damaged trees.

    Args:
        root: The data root.
        database: Its database.
        derive: As `SqliteLayerStore`.
        damaged: Layers whose own trees are damaged; each is taken out when its new tree is committed.
        derived: Chains whose derived trees are damaged.
    """

    def __init__(
        self, root: DataRoot, database: Database, *, derive: Derive, damaged: set[DiffID], derived: Iterable[ChainID]
    ) -> None:
        super().__init__(root, database, derive=derive)
        self.damaged = damaged
        self._mended: set[str] = set()
        self._stale: set[str] = set(derived)

    def has_tree(self, diff_id: DiffID) -> bool:
        """Tell whether the layer is here and right."""
        return diff_id not in self.damaged and super().has_tree(diff_id)

    def keep_tree(self, diff_id: DiffID, path: Path, report: LayerReport) -> bool:
        """Keep a tree as `SqliteLayerStore.keep_tree`, but none for a damaged one: only a repair knows of that."""
        return diff_id not in self.damaged and super().keep_tree(diff_id, path, report)

    def commit_tree(self, diff_id: DiffID, path: Path, report: LayerReport) -> None:
        """Publish a tree in the place of the damaged one; others as `SqliteLayerStore.commit_tree`."""
        if diff_id not in self.damaged:
            super().commit_tree(diff_id, path, report)
            return
        self._directories.sync([path])
        with self._database.transaction():
            self._directories.move_recipe_in(path, tree_directory(diff_id))
            self._exchange(path, tree_directory(diff_id))
            self._database.execute(
                "INSERT INTO trees (diff_id, size, disk_bytes, report) VALUES (?, ?, ?, ?) ON CONFLICT (diff_id)"
                " DO UPDATE SET size = excluded.size, disk_bytes = excluded.disk_bytes, report = excluded.report",
                (diff_id, report.size, report.disk_bytes, encode_report(report)),
            )
        self.damaged.discard(diff_id)
        self._mended.add(diff_id)

    def _exchange(self, path: Path, name: str) -> None:
        """Let a private directory and the one at its place change places; what was damaged is then removed."""
        target = self._root.trees / name
        with disk_errors(target):
            try:
                _exchange(path, target)
            except OSError as error:
                if error.errno not in _CANNOT_EXCHANGE:
                    raise
                self._directories.move_in(path, name)
        self._directories.sync_names()

    def commit_chain(self, diff_ids: Sequence[DiffID]) -> ChainID | None:
        """Publish chains as `SqliteLayerStore.commit_chain`, and derive again what is stale of them."""
        top = super().commit_chain(diff_ids)
        self.derive_again()
        return top

    def derive_again(self) -> list[ChainID]:
        """Derive again every tree that is damaged, or that a mended layer went into; return their chains.

        A chain of which another layer is damaged still waits.
        """
        done = []
        for chain_id, diff_ids in self._derived_chains():
            if self._mended.isdisjoint(diff_ids) and chain_id not in self._stale:
                continue
            if self.damaged.isdisjoint(diff_ids):
                self._derive_anew(chain_id, diff_ids[-1])
                done.append(chain_id)
        self._stale -= {str(chain_id) for chain_id in done}
        if not self.damaged:
            self._mended.clear()
        return done

    def _derived_chains(self) -> list[tuple[ChainID, list[DiffID]]]:
        """Return derived chains with their layers, bottom first, the shortest chain first."""
        stack = stacks(self._database)
        derived = self._database.query("SELECT chain_id FROM chains WHERE report IS NOT NULL")
        found = [(ChainID(Digest(chain_id)), [diff_id for _, diff_id in stack(chain_id)]) for (chain_id,) in derived]
        return sorted(found, key=lambda each: len(each[1]))

    def _derive_anew(self, chain_id: ChainID, diff_id: DiffID) -> None:
        lower = self.trees(chain_id)[:-1]
        ((report,),) = self._database.query("SELECT report FROM trees WHERE diff_id = ?", (diff_id,))
        raw = self._tree(tree_directory(diff_id), report)
        with self.new_tree() as path:
            tree = Tree(path, self._derive(lower, raw, path))
            self._directories.sync([path])
            with self._database.transaction():
                self._exchange(path, derived_directory(chain_id))
                self._database.execute(
                    "UPDATE chains SET derived_bytes = ?, report = ? WHERE chain_id = ?",
                    (tree.report.disk_bytes, encode_report(tree.report), chain_id),
                )

    def forget_layer_blob(self, digest: Digest) -> None:
        """Forget that images have kept a layer's blob beside its tree."""
        self._database.execute("DELETE FROM image_blobs WHERE digest = ?", (digest,))

    def forget_stray(self, diff_id: DiffID) -> None:
        """Forget a damaged layer on which nothing stands; the pull that wants it fetches it again."""
        with self._database.transaction():
            gone = self._database.execute(
                "DELETE FROM trees WHERE diff_id = ?"
                " AND NOT EXISTS (SELECT 1 FROM chains WHERE chains.diff_id = trees.diff_id)",
                (diff_id,),
            )
            if not gone:
                return
            private = move_out(self._root, self._root.trees / tree_directory(diff_id))
            self._directories.remove_recipe(tree_directory(diff_id))
        if private is not None:
            remove_tree(private)


def _exchange(first: Path, second: Path) -> None:
    """Let two names change places at once.

    Raises:
        OSError: One of them is not there, or the file system cannot do it.
    """
    names = os.fsencode(first), os.fsencode(second)
    if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) != 0:
        raise failure(str(second))
