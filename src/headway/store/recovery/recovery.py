"""What a writer does at start: it puts right what a crash, or somebody's manual changes, have left.

Rule 1: a file without a record is litter and is removed; a record without its files is deleted, and reported.
Rule 2: content that nothing needs is removed as well: the rest of an interrupted delete, or of a lease that has ended.
Rule 3: one listing per directory; no content is read.
Rule 4: a layer that was whole when its process was killed is committed first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from headway.errors import StoreError
from headway.interfaces.garbage import Garbage
from headway.oci.digest import ALGORITHMS, DiffID, Digest, ImageID, digest_fault
from headway.paths import is_there
from headway.records import Freed, recipe_beside
from headway.store.data_root import DataRoot, names_in
from headway.store.database.database import Database
from headway.store.failures import disk_errors
from headway.store.removal import move_out, remove_tree
from headway.store.space.blocks import freed_inside
from headway.store.space.leases import SqliteLeases
from headway.store.trees.layer_rows import stacks, tree_directory
from headway.store.trees.layers import SqliteLayerStore
from headway.store.trees.whole_trees import whole_trees

_LOST = "lost image"


class LostImage(msgspec.Struct, frozen=True):
    """An image that cannot be used any more.

    Attributes:
        image_id: Its ID.
        names: Its tags and digest references, in full spelling.
        blobs: Its config, manifest and indexes.
        manifest: Its platform's manifest; None where it came without.
        platform: ``os/arch[/variant]``.
    """

    image_id: ImageID
    names: tuple[str, ...]
    blobs: tuple[Digest, ...] = ()
    manifest: Digest | None = None
    platform: str = ""


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What `recover` found and did.

    Attributes:
        litter: How many things were removed: everything in ``tmp/``, and what has no meaning elsewhere.
        litter_bytes: Bytes freed by removing those in ``tmp/``.
        freed: Content that was removed because nothing needs it, or nothing records it.
        lost_trees: Layers that were recorded and are not on disk.
        lost_images: Images whose layers or config are gone. Their records are deleted: no list shows them until a pull
            brings them back.
    """

    litter: int = 0
    litter_bytes: int = 0
    freed: Freed = Freed()
    lost_trees: tuple[DiffID, ...] = ()
    lost_images: tuple[LostImage, ...] = ()


def take_up(root: DataRoot, layers: SqliteLayerStore, boot_id: str) -> None:
    """Commit the trees that an earlier process of this boot has kept (`LayerStore.keep_tree`).

    To be called before `recover`, which removes those that could not be committed.
    """
    for whole in whole_trees(root, boot_id):
        with layers.owning(whole.path), suppress(StoreError):
            if not layers.has_tree(whole.diff_id):
                _take_back(root, whole.path, tree_directory(whole.diff_id))
                layers.commit_tree(whole.diff_id, whole.path, whole.report)


def _take_back(root: DataRoot, path: Path, name: str) -> None:
    """Undo a commit that was cut short before its row."""
    for public, private in (root.recipes, recipe_beside(path)), (root.trees, path):
        with disk_errors(private), suppress(FileNotFoundError):
            if not is_there(private):
                os.rename(public / name, private)


def recover(root: DataRoot, database: Database, leases: SqliteLeases, garbage: Garbage) -> Recovered:
    """Make disk and database agree; to be called with the writer lock held, before any other change.

    The remains of a lost image are leased, so that the pull that brings it back fetches only what is missing.

    Raises:
        StoreError: The disk failed.
    """
    root.make_directories()
    litter = names_in(root.tmp)
    litter_bytes = freed_inside(root.tmp)
    trees = names_in(root.trees)
    blobs = {algorithm: names_in(root.blobs / algorithm) for algorithm in ALGORITHMS}
    with database.transaction():
        stack, tops = stacks(database), dict(database.query("SELECT image_id, chain_id FROM images"))
        lost_trees = _forget_lost_trees(database, trees)
        configs = {f"{algorithm}:{name}" for algorithm, names in blobs.items() for name in names}
        lost_images = _forget_lost_images(database, configs)
        for lost in lost_images:
            lease = f"{_LOST} {lost.image_id}"
            leases.add(lease, _LOST, [*lost.blobs, *(diff_id for _, diff_id in stack(tops[lost.image_id]))])
            _remember_names(database, lease, lost)
        freed = garbage.forget_unneeded()
    with suppress(StoreError):  # what cannot be moved or removed now, an immutable directory say, the next start meets
        garbage.sweep(freed)
    strange = _move_to_tmp(root, root.ingests, _strange_ingests(root))
    for algorithm, names in blobs.items():
        unnamed = {name for name in names if digest_fault(f"{algorithm}:{name}")}
        strange += _move_to_tmp(root, root.blobs / algorithm, unnamed)
    for name in [*litter, *strange]:
        with suppress(StoreError):  # as above
            remove_tree(root.tmp / name)
    return Recovered(
        litter=len(litter) + len(strange),
        litter_bytes=litter_bytes,
        freed=freed,
        lost_trees=lost_trees,
        lost_images=lost_images,
    )


def _forget_lost_trees(database: Database, here: set[str]) -> tuple[DiffID, ...]:
    """Delete rows whose directory is not `here`; the schema deletes the chains that need them."""
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
    return tuple(DiffID(diff_id) for diff_id in lost)


def _forget_lost_images(database: Database, configs: set[str]) -> tuple[LostImage, ...]:
    """Delete images whose chain is gone or whose config is not in `configs`, and their names."""
    images = database.query(
        "SELECT image_id, chain_id IS NULL OR chain_id IN (SELECT chain_id FROM chains), manifest, platform FROM images"
    )
    lost = []
    for image_id, is_chain_here, manifest, platform in images:
        if is_chain_here and image_id in configs:
            continue
        names = database.query("SELECT spelling FROM names WHERE image_id = ? ORDER BY spelling", (image_id,))
        blobs = database.query("SELECT digest FROM image_blobs WHERE image_id = ? ORDER BY digest", (image_id,))
        lost.append(
            LostImage(
                ImageID(Digest(image_id)),
                tuple(name for (name,) in names),
                tuple(Digest(digest) for (digest,) in blobs),
                None if manifest is None else Digest(manifest),
                platform,
            )
        )
        database.execute("DELETE FROM names WHERE image_id = ?", (image_id,))
        database.execute("DELETE FROM images WHERE image_id = ?", (image_id,))
    return tuple(lost)


def _remember_names(database: Database, lease: str, lost: LostImage) -> None:
    """Record the names of a lost image, which `headway check` reports until it is pulled again."""
    database.execute_each(
        "INSERT OR REPLACE INTO lost_names (spelling, kind, lease, image_id, manifest, platform)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (name, "digest" if "@" in name else "tag", lease, lost.image_id, lost.manifest, lost.platform)
            for name in lost.names
        ],
    )


def _strange_ingests(root: DataRoot) -> set[str]:
    """Return the entries that are not ingests, or that have no journal and so hold nothing."""
    return {
        name
        for name in names_in(root.ingests)
        if digest_fault(name.replace("-", ":", 1)) or not _holds_a_journal(root.ingests / name)
    }


def _holds_a_journal(directory: Path) -> bool:
    """Tell whether this is a directory of regular files, as an ingest is, and one of them a journal.

    A pull would block on anything else that somebody put there (a FIFO), or write through it (a symlink).
    """
    with disk_errors(directory):
        if not stat.S_ISDIR(os.lstat(directory).st_mode):
            return False
        with os.scandir(directory) as entries:
            are_files = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
    return "journal" in are_files and all(are_files.values())


def _move_to_tmp(root: DataRoot, directory: Path, names: Iterable[str]) -> list[str]:
    """Move litter to where a removal that is cut short harms nothing; return what it is called there."""
    moved: list[str] = []
    for name in names:
        with suppress(StoreError):  # what cannot be moved stays, and keeps nobody from starting
            if (private := move_out(root, directory / name)) is not None:
                moved.append(private.name)
    return moved
