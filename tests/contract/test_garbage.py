"""Garbage on disk: the contract, and what crashes, threads and roll-backs do to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from headway.errors import OutOfOrderError, StoreError
from headway.oci.digest import Digest, ImageID
from headway.records import Freed
from headway.store.content.blobs import FileBlobStore
from headway.store.content.ingests import FileIngestStore
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.database.schema import MIGRATIONS
from headway.store.images import SqliteImageStore
from headway.store.references import SqliteReferenceStore
from headway.store.space.garbage import STEPS, SqliteGarbage
from headway.store.space.imagined_garbage import ImaginedGarbage
from headway.store.space.leases import SqliteLeases
from headway.store.trees.layer_rows import tree_directory
from headway.store.trees.layers import SqliteLayerStore
from tests.contract.garbage_contract import INDEX, MANIFEST, GarbageContract, World
from tests.contract.layer_store_contract import chain_id, commit, derive, diff_id, files
from tests.fakes.memory import (
    MemoryBlobStore,
    MemoryImageStore,
    MemoryIngestStore,
    MemoryLayerStore,
    MemoryReferenceStore,
)
from tests.fakes.memory_garbage import MemoryGarbage, MemoryLeases


def on_disk(root: DataRoot, database: Database, step: Callable[[str], None] = lambda _: None) -> World:
    """Return the stores of a data root."""
    ingests = FileIngestStore(root, boot_id="0" * 32)
    leases = SqliteLeases(database)
    return World(
        blobs=FileBlobStore(root),
        ingests=ingests,
        layers=SqliteLayerStore(root, database, derive=derive),
        images=SqliteImageStore(database),
        references=SqliteReferenceStore(database),
        leases=leases,
        garbage=SqliteGarbage(root, database, leases, discard=ingests.discard, step=step),
    )


class TestMemoryGarbage(GarbageContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        blobs, images, leases = MemoryBlobStore(), MemoryImageStore(), MemoryLeases()
        ingests = MemoryIngestStore(blobs)
        layers = MemoryLayerStore(tmp_path, derive=derive)
        return World(
            blobs=blobs,
            ingests=ingests,
            layers=layers,
            images=images,
            references=MemoryReferenceStore(images),
            leases=leases,
            garbage=MemoryGarbage(images, layers, blobs, ingests, leases),
        )


class TestSqliteGarbage(GarbageContract):
    @pytest.fixture
    def world(self, root: DataRoot, database: Database) -> World:
        return on_disk(root, database)


@pytest.fixture
def world(root: DataRoot, database: Database) -> World:
    return on_disk(root, database)


def test_files_are_not_removed_inside_a_transaction(world: World, database: Database) -> None:
    freed = world.garbage.forget_image(world.image("app", "base"))

    with pytest.raises(OutOfOrderError), database.transaction():
        world.garbage.sweep(freed)


def test_what_is_forgotten_in_a_transaction_that_is_undone_stays(world: World, database: Database) -> None:
    image = world.image("app", "base", "top")
    freed = None
    with suppress(ZeroDivisionError), database.transaction():
        freed = world.garbage.forget_image(image)
        raise ZeroDivisionError
    assert freed is not None

    world.garbage.sweep(freed)

    assert world.images.get(image) is not None
    assert files(world.layers, chain_id("base", "top")) == ["base", "top-over-base"]
    assert world.here(image, MANIFEST, INDEX) == [True, True, True]


def test_what_comes_back_between_forgetting_and_removing_stays(world: World) -> None:
    image = world.image("app", "base", "top")
    freed = world.garbage.forget_image(image)
    assert not world.layers.has_tree(diff_id("base"))

    with world.leases.hold("pull app", INDEX) as lease:
        lease.add([MANIFEST, diff_id("base")])
        commit(world.layers, "base")
        world.garbage.sweep(freed)

    assert world.here(image, MANIFEST, INDEX) == [False, True, False]
    assert files(world.layers, world.layers.commit_chain([diff_id("base")])) == ["base"]


def test_orphans_on_disk_go_too(world: World, root: DataRoot) -> None:
    world.image("app", "base")
    orphans = ("sha256-" + "0" * 64, "chain-sha256-" + "1" * 64, "strange")
    for name in orphans:
        (root.trees / name / "deep").mkdir(parents=True)
        (root.recipes / f"{name}-alone").touch()

    freed = world.collect()

    assert sorted(freed.directories) == sorted([*orphans, *(f"{name}-alone" for name in orphans)])
    assert freed.disk_bytes == len(orphans) * 2 * (root.trees.stat().st_blocks * 512)
    assert len(os.listdir(root.trees)) == 1
    assert os.listdir(root.recipes) == os.listdir(root.tmp) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="gives attributes")
def test_what_cannot_go_is_told_once_all_else_is_gone(world: World, root: DataRoot) -> None:
    trees = {name: root.trees / tree_directory(diff_id(name)) for name in ("base", "top")}
    base, top = world.image("app", "base"), world.image("other", "top")
    freed = [world.garbage.forget_image(image) for image in (base, top)]
    together = Freed(directories=(*freed[0].directories, *freed[1].directories))
    subprocess.run(["chattr", "+i", trees["base"]], check=True)
    try:
        with pytest.raises(StoreError, match="or it is immutable"):
            world.garbage.sweep(together)
        left = [path.exists() for path in trees.values()]
    finally:
        subprocess.run(["chattr", "-i", trees["base"]], check=True)

    world.collect()

    assert left == [True, False]
    assert os.listdir(root.trees) == os.listdir(root.tmp) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="gives attributes")
def test_an_unfinished_download_that_cannot_go_keeps_no_other(world: World, root: DataRoot) -> None:
    digests = [world.unfinished(content) for content in (b"one", b"two", b"three")]
    stays = root.ingest(digests[1])
    subprocess.run(["chattr", "+i", stays], check=True)
    try:
        with pytest.raises(StoreError, match="or it is immutable"):
            world.garbage.sweep(Freed(ingests=tuple(digests)))
        left = os.listdir(root.ingests)
    finally:
        subprocess.run(["chattr", "-i", stays], check=True)

    assert left == [stays.name]


def test_a_copy_of_the_records_says_what_would_go_and_nothing_does(
    world: World, root: DataRoot, database: Database
) -> None:
    image = world.image("app", "base", "top")
    with database.copy() as copy:
        imagined = ImaginedGarbage(root, copy, SqliteLeases(copy), discard=world.ingests.discard)
        promised = imagined.forget_image(image)
        imagined.sweep(promised)
        gone = SqliteImageStore(copy).get(image)

    assert gone is None
    assert files(world.layers, chain_id("base", "top")) == ["base", "top-over-base"]
    assert world.forget(image) == promised


def test_steps_are_told_in_order(root: DataRoot, database: Database) -> None:
    steps: list[str] = []
    world = on_disk(root, database, steps.append)

    world.forget(world.image("app", "base"))

    assert steps == ["forgotten", "recorded", "moved", *["removed one"] * 4, "removed"]
    assert set(steps) == set(STEPS)


def test_a_delete_asks_for_its_own_image_only(world: World, database: Database) -> None:
    asked: list[str] = []
    database._connection.set_trace_callback(asked.append)

    def statements(name: str) -> list[str]:
        asked.clear()
        world.forget(ImageID(Digest.of(name.encode())))
        return [statement.partition("'")[0] for statement in asked]

    for number in range(10):
        world.image(f"app-{number}", "base", f"layer-{number}")
    among_ten = statements("app-0")
    for number in range(10, 60):
        world.image(f"app-{number}", "base", f"layer-{number}")

    assert statements("app-1") == among_ten
    plans = [database.query(f"EXPLAIN QUERY PLAN {sql}") for sql in asked if sql.startswith("SELECT")]
    assert len(plans) > 5
    assert not [step for plan in plans for *_, step in plan if step.startswith("SCAN") and "CONSTANT" not in step]


def test_images_and_finished_layers_of_an_earlier_version_are_kept(root: DataRoot) -> None:
    with Database.open(root.database, migrations=MIGRATIONS[:1]) as old:
        old.execute(
            "INSERT INTO images VALUES (?, '', NULL, 1, 'linux/amd64', NULL, ?, 0)", (Digest.of(b"app"), MANIFEST)
        )
        old.execute(
            "INSERT INTO names VALUES (?, 'docker.io/library/app', 'digest', ?)",
            (f"docker.io/library/app@{INDEX}", Digest.of(b"app")),
        )
        old.execute("INSERT INTO trees VALUES (?, 1, 4096, '{}')", (diff_id("finished"),))

    with Database.open(root.database) as database:
        world = on_disk(root, database)
        for content in (b"app", b"manifest", b"index"):
            world.blobs.put(Digest.of(content), content)
        world.collect()

        assert world.here(Digest.of(b"app"), MANIFEST, INDEX) == [True, True, True]
        assert world.layers.has_tree(diff_id("finished"))
        world.collect(unfinished=True)
        assert not world.layers.has_tree(diff_id("finished"))
