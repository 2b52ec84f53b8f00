"""SIGKILL before every change of a name and every commit, of everything that changes a store: the next start is clean.

Nobody has to name these steps: the interpreter tells of each (`sys.addaudithook`, SQLite's trace), and the process dies
before one of them, then before the next, until there is none left to die before.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from headway.composition.checking import checking
from headway.composition.measuring import measuring
from headway.composition.writing import writing
from headway.interfaces.usage import Kind
from headway.layers.recipes.recorder import Recorder
from headway.layers.trees.derive import derive_tree
from headway.layers.unpacking.applier import apply_layer
from headway.oci.digest import DiffID, Digest
from headway.oci.image_config import ImageConfig
from headway.oci.reference import Reference
from headway.records import recipe_beside
from headway.service.containers.containers import Containers
from headway.service.images.delete import delete_image
from headway.service.images.prune import Pruner
from headway.service.images.recording import name_pulled, record_image
from headway.service.stores import Stores
from headway.settings import Settings
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.recovery.mending import MendingLayerStore
from tests.fakes import disks
from tests.fakes.tars import Item, Source, directory, file, tar

BASE = [directory("etc"), file("etc/base", b"b" * 5_000)]
TOP = [file("etc/top", b"t" * 5_000), file("usr/top", b"top")]  # leans on BASE
CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"})
Act = Callable[[Stores], None]


def layer(stores: Stores, items: list[Item]) -> DiffID:
    with stores.layers.new_tree() as path:
        with Recorder(recipe_beside(path), path) as recorder:
            diff_id, report = apply_layer(Source(tar(*items)), path, lambda _: None, observer=recorder)
            recorder.finish(diff_id)
        stores.layers.commit_tree(diff_id, path, report)
    return diff_id


def keep(stores: Stores) -> None:
    """Do what a pull does with a layer whose blob goes before it is committed."""
    with stores.leases.hold("pull app:1", Digest.of(b"app")) as lease, stores.layers.new_tree() as path:
        lease.add([diff_id_of(BASE)])
        with Recorder(recipe_beside(path), path) as recorder:
            diff_id, report = apply_layer(Source(tar(*BASE)), path, lambda _: None, observer=recorder)
            recorder.finish(diff_id)
        assert stores.layers.keep_tree(diff_id, path, report)
        stores.layers.commit_tree(diff_id, path, report)


def blob(stores: Stores, data: bytes) -> Digest:
    """Let a blob arrive as from a registry, and commit it."""
    digest = Digest.of(data)
    ingest = stores.ingests.open(digest, len(data))
    ingest.write_at(0, data)
    ingest.commit()
    return digest


def register(stores: Stores) -> None:
    """Do what a pull does when everything has arrived."""
    with stores.leases.hold("pull app:1", Digest.of(b"app")) as lease:
        layers = [layer(stores, BASE), layer(stores, TOP)]
        lease.add(layers)
        manifest = blob(stores, b"{}")
        config = b'{"os": "linux", "rootfs": {"type": "layers", "diff_ids": ["%s", "%s"]}}' % tuple(
            diff_id.encode() for diff_id in layers
        )
        lease.add([manifest, blob(stores, config)])
        chain = stores.layers.commit_chain(layers)
        with stores.transaction():
            record = record_image(stores, ImageConfig.parse(config), chain, manifest, [manifest])
            name_pulled(stores, Reference.parse("app:1"), manifest, record)
            lease.drop()


def create(stores: Stores) -> None:
    Containers(stores).create("app:1", name="one")


def remove(stores: Stores) -> None:
    Containers(stores).remove("one")


def delete(stores: Stores) -> None:
    delete_image(stores, "app:1", force=True)


def prune(stores: Stores) -> None:
    stores.references.delete(Reference.parse("app:1"))
    Pruner(stores).prune({"dangling": ["false"]}, unfinished=True)


def mend(stores: Stores) -> None:
    """Bring BASE anew, and derive again what stands on it."""
    database: Database = stores.transaction.__self__  # type: ignore[attr-defined]  # its method
    root = DataRoot(database._path.parent)
    base = diff_id_of(BASE)
    layers = MendingLayerStore(root, database, derive=derive_tree, damaged={base}, derived=[])
    assert layer(msgspec.structs.replace(stores, layers=layers), BASE) == base
    assert len(layers.derive_again()) == 1


def diff_id_of(items: list[Item]) -> DiffID:
    """Return the diff ID of a layer."""
    return DiffID(Digest.of(tar(*items)))


def killed_before(root: Path, number: int, act: Act) -> str:
    """Act in a process of its own, which dies before its change `number`; return which one that was, or nothing."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        with suppress(BaseException):
            _act_until(root, number, act, write)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        named = pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) == bool(named)
    return named


def _act_until(root: Path, number: int, act: Act, tell: int) -> None:
    left = number

    def count(what: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.write(tell, what.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def changed(event: str, arguments: tuple[object, ...]) -> None:
        if event in CHANGES:
            count(f"{event} {arguments[0]!s}")

    def asked(sql: str) -> None:
        if sql == "COMMIT":
            count(sql)

    with writing(Settings(data_root=root), tell=pytest.fail) as stores:
        stores.transaction.__self__._connection.set_trace_callback(asked)  # type: ignore[attr-defined]  # the database's
        sys.addaudithook(changed)
        act(stores)
        left = 0  # what closing does is no part of it


def copy(store: Path, target: Path) -> None:
    """Copy a store with its hard links: trees that were derived share their files."""
    subprocess.run(["cp", "-a", store, target], check=True)


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return stores as the acts find them."""
    place = tmp_path_factory.mktemp("stores")
    before: list[tuple[str, Act]] = [("image", register), ("container", create)]
    empty = place / "empty"
    with writing(Settings(data_root=empty), tell=pytest.fail):
        pass
    stores, last = {"empty": empty}, empty
    for name, act in before:
        copy(last, place / name)
        last = stores[name] = place / name
        with writing(Settings(data_root=last), tell=pytest.fail) as opened:
            act(opened)
    return stores


def test_an_image_is_never_without_a_layer_that_is_being_mended(stocked: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    copy(stocked["image"], broken)
    for path in broken.glob("trees/sha256-*/etc/base"):
        path.write_bytes(b"rotten")
    seen = set()
    for number in range(1, 100):
        root = tmp_path / str(number)
        copy(broken, root)
        died_before = killed_before(root, number, mend)
        with writing(Settings(data_root=root), tell=pytest.fail) as stores:
            assert [str(name) for name, _ in stores.references.list() if name.tag] == ["docker.io/library/app:1"]
        with checking(Settings(data_root=root)) as checker:
            seen.add(tuple(damage.kind for damage in checker.check(full=True).damage))
        with measuring(Settings(data_root=root)) as (_, disk):
            assert disk.measure().total == pytest.approx(disks.du(root), rel=0.01), died_before
        assert os.listdir(root / "tmp") == [], died_before
        shutil.rmtree(root)
        if not died_before:
            break

    assert number > 5
    assert seen == {("layer",), ()}


def test_a_layer_that_was_kept_is_there_after_a_kill_at_whatever_step(stocked: dict[str, Path], tmp_path: Path) -> None:
    here = []
    for number in range(1, 100):
        root = tmp_path / str(number)
        copy(stocked["empty"], root)
        died_before = killed_before(root, number, keep)
        with writing(Settings(data_root=root), tell=pytest.fail) as stores:
            here.append(stores.layers.has_tree(diff_id_of(BASE)))
            parts = stores.layers.tar_parts(diff_id_of(BASE))
        with checking(Settings(data_root=root)) as checker:
            assert checker.check(full=True).damage == (), died_before
        assert (parts is not None) == here[-1], died_before
        assert os.listdir(root / "tmp") == [], died_before
        shutil.rmtree(root)
        if not died_before:
            break

    steps_of_a_commit = 5  # recipe, tree, row, and what is left beside it
    assert here == sorted(here)
    assert here.count(True) >= steps_of_a_commit


@pytest.mark.parametrize(
    ("begin", "act", "least"),
    [
        ("empty", register, 20),
        ("image", create, 8),
        ("container", remove, 8),
        ("image", delete, 8),
        ("image", prune, 8),
    ],
)
def test_the_next_start_is_clean_wherever_a_process_dies(
    stocked: dict[str, Path], tmp_path: Path, begin: str, act: Act, least: int
) -> None:
    visited = []
    for number in range(1, 500):
        root = tmp_path / str(number)
        copy(stocked[begin], root)
        died_before = killed_before(root, number, act)
        with writing(Settings(data_root=root), tell=pytest.fail):
            pass
        with checking(Settings(data_root=root)) as checker:
            damage = checker.check(full=True).damage
        with measuring(Settings(data_root=root)) as (_, disk):
            usage = disk.measure()
        assert damage == (), died_before
        assert usage.kinds[Kind.OTHER].reclaimable == 0, died_before
        assert usage.total == pytest.approx(disks.du(root), rel=0.01), died_before
        assert os.listdir(root / "tmp") == [], died_before
        shutil.rmtree(root)
        if not died_before:
            break
        visited.append(died_before)

    assert len(visited) >= least
    assert "COMMIT" in visited
