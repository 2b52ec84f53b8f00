"""SIGKILL at every named step of a delete, of a prune and of the start behind it: the next start is clean."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from headway.interfaces.usage import Kind
from headway.layers.trees.derive import derive_tree
from headway.layers.unpacking.applier import apply_layer
from headway.oci.digest import DiffID, Digest, ImageID
from headway.records import ImageRecord, recipe_beside
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.recovery.recovery import Recovered, recover
from headway.store.space.garbage import STEPS
from headway.store.space.leases import SqliteLeases
from headway.store.space.usage import SqliteUsage
from headway.store.trees.layers import SqliteLayerStore
from tests.contract.garbage_contract import MANIFEST, World
from tests.contract.test_garbage import on_disk
from tests.fakes import disks
from tests.fakes.tars import Item, Source, directory, file, tar

BASE = [directory("etc"), *(file(f"etc/{number}", b"x" * 3000) for number in range(20))]
TOP = [file("etc/top", b"top" * 5000), file("usr/top", b"top")]  # leans on BASE
OTHER = [file("etc/other", b"other")]
Act = Callable[[World], None]


def delete(world: World) -> None:
    world.forget(ImageID(Digest.of(b"gone")))


def prune(world: World) -> None:
    for name in (b"gone", b"kept"):
        world.forget(ImageID(Digest.of(name)))
    world.collect(unfinished=True)


def stores(root: DataRoot, database: Database, step: Callable[[str], None] = lambda _: None) -> World:
    """Return stores that derive as Headway does."""
    world = on_disk(root, database, step)
    layers = SqliteLayerStore(root, database, derive=derive_tree)
    return World(**{**{name: getattr(world, name) for name in World.__dataclass_fields__}, "layers": layers})


def stock(world: World) -> None:
    """Record two images that share a layer, a stray layer, and a stopped pull."""
    for name, layers in (("gone", (BASE, TOP)), ("kept", (BASE, OTHER))):
        image_id = ImageID(Digest.of(name.encode()))
        world.blobs.put(image_id, name.encode())
        world.blobs.put(MANIFEST, b"manifest")
        chain = world.layers.commit_chain([unpack(world, layer) for layer in layers])
        world.images.put(
            ImageRecord(
                image_id=image_id, created="", size=1, platform="linux/amd64", chain_id=chain, manifest=MANIFEST
            )
        )
    unpack(world, [file("stray")])
    with world.leases.hold("pull stopped", MANIFEST) as lease:
        lease.add([unpack(world, [file("stopped", b"s" * 9000)]), world.unfinished(b"unfinished")])


def unpack(world: World, items: list[Item]) -> DiffID:
    with world.layers.new_tree() as path:
        diff_id, report = apply_layer(Source(tar(*items)), path, lambda _: None)
        recipe_beside(path).write_text("recipe")
        world.layers.commit_tree(diff_id, path, report)
    return diff_id


def killed_at(root: DataRoot, step: str, act: Act | None, nth: int = 1) -> bool:
    """Start, and act in a process of its own, which dies when it is at a step for the nth time; tell whether it did.

    Without an act it is the start itself in which it dies.
    """
    if (child := os.fork()) == 0:
        is_armed = act is None
        seen = 0

        def die(now: str) -> None:
            nonlocal seen
            seen += is_armed and now == step
            if seen == nth:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            with Database.open(root.database) as database:
                world = stores(root, database, die)
                recover(root, database, SqliteLeases(database), world.garbage)
                is_armed = True
                if act is not None:
                    act(world)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    root = DataRoot(tmp_path / "root")
    root.create()
    root.make_directories()
    with Database.open(root.database) as database:
        stock(stores(root, database))
    return root


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("act", "nth"), [(delete, 1), (prune, 1), (prune, 2), (prune, 3)])
def test_a_kill_leaves_what_the_next_start_removes(root: DataRoot, act: Act, nth: int, step: str) -> None:
    died = killed_at(root, step, act, nth)

    with Database.open(root.database) as database:
        world = stores(root, database)
        found = recover(root, database, SqliteLeases(database), world.garbage)
        again = recover(root, database, SqliteLeases(database), world.garbage)
        images = [record.image_id for record in world.images.list()]
        whole = [len(world.layers.trees(record.chain_id)) == 2 for record in world.images.list()]
        usage = SqliteUsage(root, database, held=()).measure()
        wanted = disks.du(root.path)

    assert died
    assert (found.lost_images, found.lost_trees) == ((), ())
    assert again == Recovered()
    assert (Digest.of(b"gone") in images) == (nth == 1 and step == "forgotten")
    assert all(whole)
    assert usage.kinds[Kind.OTHER].reclaimable == 0
    assert usage.total == wanted
    assert os.listdir(root.tmp) == []


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_during_the_start_behind_a_kill_changes_nothing(root: DataRoot, step: str) -> None:
    assert killed_at(root, "recorded", prune)

    died = killed_at(root, step, None)

    with Database.open(root.database) as database:
        world = stores(root, database)
        found = recover(root, database, SqliteLeases(database), world.garbage)
        usage = SqliteUsage(root, database, held=()).measure()
        assert usage.total == disks.du(root.path)
        assert [record.image_id for record in world.images.list()] == [Digest.of(b"kept")]
        assert world.ingests.held(Digest.of(b"unfinished")) == 1
    assert died
    assert found.lost_images == ()
    assert usage.kinds[Kind.OTHER].reclaimable == 0
    assert os.listdir(root.tmp) == []
