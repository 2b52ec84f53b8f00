"""Layers on disk: the contract, and what crashes, threads and failing disks do to them."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Thread

import pytest

from headway.errors import OutOfOrderError, StoreError
from headway.interfaces.layers import LayerStore
from headway.oci.digest import DiffID
from headway.records import LayerReport, Tree
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.recovery.mending import MendingLayerStore
from headway.store.trees.layer_rows import tree_directory
from headway.store.trees.layers import SqliteLayerStore
from headway.store.trees.syncing import Syncer
from headway.store.trees.whole_trees import whole_trees
from tests.contract.layer_store_contract import (
    LEANING,
    WHOLE,
    LayerStoreContract,
    chain_id,
    commit,
    derive,
    diff_id,
    files,
)
from tests.fakes.memory import MemoryLayerStore


@pytest.fixture
def store(root: DataRoot, database: Database) -> SqliteLayerStore:
    return SqliteLayerStore(root, database, derive=derive)


class TestSqliteLayers(LayerStoreContract):
    @pytest.fixture
    def subject(self, store: SqliteLayerStore) -> LayerStore:
        return store


class TestMemoryLayers(LayerStoreContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> LayerStore:
        return MemoryLayerStore(tmp_path, derive=derive)


def test_trees_are_named_by_what_they_are(root: DataRoot, store: SqliteLayerStore) -> None:
    store.commit_chain([commit(store, "base"), commit(store, "top", LEANING)])

    assert set(os.listdir(root.trees)) == {
        f"sha256-{diff_id('base').hex}",
        f"sha256-{diff_id('top').hex}",
        f"chain-sha256-{chain_id('base', 'top').hex}",
    }
    assert os.listdir(root.tmp) == []


def test_what_was_committed_is_here_after_a_reopen(root: DataRoot) -> None:
    with Database.open(root.database) as database:
        store = SqliteLayerStore(root, database, derive=derive)
        chain = store.commit_chain([commit(store, "base"), commit(store, "top", LEANING)])

    with Database.open_readonly(root.database) as database:
        reader = SqliteLayerStore(root, database, derive=derive)
        assert files(reader, chain) == ["base", "top-over-base"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts overlay")
def test_a_damaged_tree_that_overlay_cannot_move_makes_room_for_the_mended_one(tmp_path: Path) -> None:
    lower, upper, work, target = (tmp_path / name for name in ("lower", "upper", "work", "target"))
    for directory in (lower, upper, work, target):
        directory.mkdir()
    below = DataRoot(lower)
    below.make_directories()
    with Database.open(below.database) as database:
        base = commit(SqliteLayerStore(below, database, derive=derive), "base")
    (below.trees / tree_directory(base) / "damage").touch()
    options = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=off"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", target], check=True)

    root = DataRoot(target)
    try:
        with Database.open(root.database) as database:
            commit(MendingLayerStore(root, database, derive=derive, damaged={base}, derived=[]), "base")
        left = os.listdir(root.trees / tree_directory(base)), os.listdir(root.tmp)
    finally:
        subprocess.run(["umount", target], check=True)

    assert left == (["base"], [])


def test_a_tree_left_by_a_commit_that_was_cut_short_is_replaced(root: DataRoot, store: SqliteLayerStore) -> None:
    litter = root.trees / tree_directory(diff_id("base"))
    litter.mkdir()
    (litter / "half made").touch()

    chain = store.commit_chain([commit(store, "base")])

    assert files(store, chain) == ["base"]


def test_a_commit_that_is_rolled_back_can_be_made_again(store: SqliteLayerStore, database: Database) -> None:
    with suppress(ZeroDivisionError), database.transaction():
        commit(store, "base")
        raise ZeroDivisionError
    known = store.has_tree(diff_id("base"))

    chain = store.commit_chain([commit(store, "base")])

    assert not known
    assert files(store, chain) == ["base"]


@pytest.mark.parametrize("report", [WHOLE, LEANING])
def test_threads_that_commit_the_same_agree(root: DataRoot, store: SqliteLayerStore, report: LayerReport) -> None:
    together = Barrier(4)
    failures: list[BaseException] = []

    def pull() -> None:
        try:
            together.wait()
            store.commit_chain([commit(store, "base"), commit(store, "top", report)])
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=pull) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert store.has_chain(chain_id("base", "top"))
    assert os.listdir(root.tmp) == []


def test_a_trees_name_is_synced_before_anybody_can_read_its_record(
    root: DataRoot, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, int, int]] = []

    def note(path: Path) -> None:
        with Database.open_readonly(root.database) as other:
            ((records,),) = other.query("SELECT count(*) FROM trees")
        synced.append((path.name, len(os.listdir(root.trees)), records))

    monkeypatch.setattr("headway.store.trees.directories.fsync_directory", note)
    commit(SqliteLayerStore(root, database, derive=derive), "base")

    assert synced == [("recipes", 1, 0), ("trees", 1, 0)]


def test_a_tree_whose_bytes_may_be_lost_is_not_published(root: DataRoot, database: Database) -> None:
    failing = [OSError(errno.EIO, "lost")]

    def sync(_: int) -> None:
        if failing:
            raise failing.pop()

    store = SqliteLayerStore(root, database, derive=derive, syncer=Syncer(root.tmp, sync=sync))
    with store.new_tree() as first, store.new_tree() as second:
        # The error is reported once, to whoever syncs first; the other tree may have lost bytes as well.
        for name, path in (("first", first), ("second", second)):
            with pytest.raises(StoreError):
                store.commit_tree(diff_id(name), path, WHOLE)
    commit(store, "third")

    here = [store.has_tree(diff_id(name)) for name in ("first", "second", "third")]
    assert here == [False, False, True]
    assert len(os.listdir(root.trees)) == 1


@pytest.mark.parametrize(("is_noted", "is_lost"), [(True, False), (True, True), (False, False)])
def test_a_whole_tree_stays_where_it_was_not_the_disk_that_failed(
    root: DataRoot, database: Database, *, is_noted: bool, is_lost: bool
) -> None:
    """The blob of a tree with a note is gone: whoever starts next commits the tree."""
    store = SqliteLayerStore(root, database, derive=derive, boot_id="this boot")
    paths: list[Path] = []
    error: Exception = StoreError("lost") if is_lost else RuntimeError("closed")

    def commit_in_vain() -> None:
        with store.new_tree() as path:
            paths.append(path)
            if is_noted:
                store.keep_tree(diff_id("base"), path, WHOLE)
            raise error

    with pytest.raises(type(error)):
        commit_in_vain()

    [path] = paths
    assert [whole.path for whole in whole_trees(root, "this boot")] == [path] * (is_noted and not is_lost)
    assert path.exists() == (is_noted and not is_lost)


def test_a_chain_that_cannot_be_derived_leaves_nothing(root: DataRoot, database: Database) -> None:
    def refuse(lower: Sequence[Tree], raw: Tree, target: Path) -> LayerReport:
        (target / "half made").touch()
        raise StoreError("refused")

    store = SqliteLayerStore(root, database, derive=refuse)
    ids: list[DiffID] = [commit(store, "base"), commit(store, "top", LEANING)]

    with pytest.raises(StoreError, match="refused"):
        store.commit_chain(ids)

    assert not store.has_chain(chain_id("base"))
    assert os.listdir(root.tmp) == []


def test_only_private_trees_can_be_committed(tmp_path: Path, store: SqliteLayerStore) -> None:
    with pytest.raises(OutOfOrderError):
        store.commit_tree(diff_id("base"), tmp_path, WHOLE)


def test_an_absent_data_root_reads_as_empty(tmp_path: Path) -> None:
    root = DataRoot(tmp_path / "absent")

    with Database.open_readonly(root.database) as database:
        store = SqliteLayerStore(root, database, derive=derive)

        assert not store.has_tree(diff_id("base"))
        assert store.trees(None) == []
