"""What a writer does at start: put right what a crash, or somebody's hands, have left.

Rule 1: what has no record is litter and goes; what a record promises and is not there is forgotten, and told.
Rule 2: one listing per directory; no content is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from headway.errors import InvalidDigestError, StoreError
from headway.oci.digest import DiffID, Digest, ImageID
from headway.store.data_root import DataRoot
from headway.store.database import Database
from headway.store.failures import disk_errors
from headway.store.layers import directories, tree_directory
from headway.store.removal import remove_tree

_ALGORITHMS = ("sha256", "sha512")


class LostImage(msgspec.Struct, frozen=True):
    """An image that cannot be used any more.

    Attributes:
        image_id: Its ID.
        names: What stood for it, in full spelling.
    """

    image_id: ImageID
    names: tuple[str, ...]


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What `recover` found and did.

    Attributes:
        litter: Files, trees and recipes that had no record and were removed.
        lost_trees: Layers that were recorded and are not on disk.
        lost_chains: How many chains needed them.
        lost_images: Images whose layers or config are gone. They are forgotten: a pull brings them back, no
            list shows them until then.
    """

    litter: int = 0
    lost_trees: tuple[DiffID, ...] = ()
    lost_chains: int = 0
    lost_images: tuple[LostImage, ...] = ()


def recover(root: DataRoot, database: Database) -> Recovered:
    """Make disk and database agree; called with the writer lock held, before anything else.

    Raises:
        StoreError: The disk failed.
    """
    root.make_directories()
    trees = _names(root.trees)
    blobs = {algorithm: _names(root.blobs / algorithm) for algorithm in _ALGORITHMS}
    with database.transaction():
        lost_trees, lost_chains = _forget_lost_trees(database, trees)
        configs = {f"{algorithm}:{name}" for algorithm, names in blobs.items() for name in names}
        lost_images = _forget_lost_images(database, configs)
        known = directories(database)
    litter = [*_names(root.tmp)]
    litter += _move_to_tmp(root, root.trees, trees - known)
    litter += _move_to_tmp(root, root.recipes, _names(root.recipes) - known)
    litter += _move_to_tmp(root, root.ingests, _strange_ingests(root))
    for algorithm, names in blobs.items():
        strange = {name for name in names if not _is_digest(f"{algorithm}:{name}")}
        litter += _move_to_tmp(root, root.blobs / algorithm, strange)
    for name in litter:
        with suppress(StoreError):  # what cannot be removed now is met again at the next start
            remove_tree(root.tmp / name)
    return Recovered(litter=len(litter), lost_trees=lost_trees, lost_chains=lost_chains, lost_images=lost_images)


def _forget_lost_trees(database: Database, here: set[str]) -> tuple[tuple[DiffID, ...], int]:
    """Delete rows whose directory is not `here`; the schema deletes the chains that need them."""
    (before,) = database.query("SELECT count(*) FROM chains")[0]
    lost = [
        Digest(diff_id)
        for (diff_id,) in database.query("SELECT diff_id FROM trees")
        if tree_directory(Digest(diff_id)) not in here
    ]
    database.execute_each("DELETE FROM trees WHERE diff_id = ?", [(diff_id,) for diff_id in lost])
    underived = [
        (chain_id,)
        for chain_id, directory in database.query("SELECT chain_id, directory FROM chains")
        if directory not in here
    ]
    database.execute_each("DELETE FROM chains WHERE chain_id = ?", underived)
    (after,) = database.query("SELECT count(*) FROM chains")[0]
    return tuple(DiffID(diff_id) for diff_id in lost), before - after


def _forget_lost_images(database: Database, configs: set[str]) -> tuple[LostImage, ...]:
    """Delete images whose chain is gone or whose config is not in `configs`, and their names."""
    images = database.query(
        "SELECT image_id, chain_id IS NULL OR chain_id IN (SELECT chain_id FROM chains) FROM images"
    )
    lost = []
    for image_id, is_chain_here in images:
        if is_chain_here and image_id in configs:
            continue
        names = database.query("SELECT spelling FROM names WHERE image_id = ? ORDER BY spelling", (image_id,))
        lost.append(LostImage(ImageID(Digest(image_id)), tuple(name for (name,) in names)))
        database.execute("DELETE FROM names WHERE image_id = ?", (image_id,))
        database.execute("DELETE FROM images WHERE image_id = ?", (image_id,))
    return tuple(lost)


def _strange_ingests(root: DataRoot) -> set[str]:
    """Return what is no ingest, or has no journal and so holds nothing."""
    return {
        name
        for name in _names(root.ingests)
        if not _is_digest(name.replace("-", ":", 1)) or "journal" not in _names(root.ingests / name)
    }


def _is_digest(text: str) -> bool:
    try:
        Digest.parse(text)
    except InvalidDigestError:
        return False
    return True


def _names(directory: Path) -> set[str]:
    with disk_errors(directory):
        try:
            return set(os.listdir(directory))
        except NotADirectoryError:
            return set()


def _move_to_tmp(root: DataRoot, directory: Path, names: Iterable[str]) -> list[str]:
    """Move litter to where a removal that is cut short harms nothing; return what it is called there."""
    moved = []
    for name in names:
        private = root.private()
        with disk_errors(private):
            os.rename(directory / name, private)
        moved.append(private.name)
    return moved
