"""Read-write layers on disk: the contract for each driver, and what crashes and failures leave."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from headway.container_records import KeptMount, RwPlace
from headway.errors import ConflictError, MountNotFoundError, NotFoundError, StoreError, UnsupportedError
from headway.interfaces.layers import LayerStore
from headway.interfaces.rw_layers import RwLayerStore
from headway.layers.drivers import mounts
from headway.layers.drivers.selection import DRIVERS, InstalledDrivers
from headway.layers.trees.init_layer import make_init_layer
from headway.oci.digest import ChainID, DiffID, Digest
from headway.records import LayerReport
from headway.store.containers.mounts import SqliteMountTable
from headway.store.containers.rw_layers import SqliteRwLayerStore
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.trees.layers import SqliteLayerStore
from tests.contract.layer_store_contract import derive
from tests.contract.rw_layer_contract import RwLayerContract, make
from tests.fakes.memory import MemoryLayerStore
from tests.fakes.rw_layers import MemoryRwLayerStore

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")


def base_chain(layers: LayerStore) -> ChainID:
    """Commit a chain with one file."""
    diff_id = DiffID(Digest.of(b"base"))
    with layers.new_tree() as path:
        (path / "etc").mkdir()
        (path / "etc/passwd").write_text("root")
        layers.commit_tree(diff_id, path, LayerReport(entries=2))
    chain_id = layers.commit_chain([diff_id])
    assert chain_id is not None
    return chain_id


class Disk:
    """A data root with one chain."""

    def __init__(self, path: Path, driver: str = "overlay2") -> None:
        self.root = DataRoot(path)
        self.root.create()
        self.root.make_directories()
        self.driver = driver
        self.database = Database.open(self.root.database)
        self.layers = SqliteLayerStore(self.root, self.database, derive=derive)
        self.mounts = SqliteMountTable(self.database)

    def store(self, at: Callable[[str], None] = lambda _: None) -> SqliteRwLayerStore:
        drivers = InstalledDrivers(self.driver, list, self.root.tmp)
        return SqliteRwLayerStore(self.root, self.database, self.layers, drivers, make_init_layer, at=at)

    def chain(self) -> ChainID:
        return base_chain(self.layers)

    def restart(self) -> SqliteRwLayerStore:
        """Begin anew as a process does: `tmp/` is emptied, and everything is made to agree."""
        subprocess.run(f"rm -rf {self.root.tmp}/*", shell=True, check=True)
        self.mounts.recover(mounts.here, lambda mount: str(mount.target) in mounts.ours())
        store = self.store()
        store.recover(mounts.ours)
        return store

    def left(self) -> list[str]:
        return sorted([*os.listdir(self.root.tmp), *os.listdir(self.root.rw)])

    def close(self) -> None:
        for place in mounts.ours():
            if place.startswith(f"{self.root.path}/"):
                mounts.unmount(place)
        self.database.close()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """Give a directory whose syncs cost nothing: a layer is synced several times."""
    subprocess.run(["mount", "-t", "tmpfs", "headway-test", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@pytest.fixture(params=["overlay2", "vfs"])
def disk(memory: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    disk = Disk(memory / "root", request.param)
    yield disk
    disk.close()


@pytest.fixture
def overlay(memory: Path) -> Iterator[Disk]:
    disk = Disk(memory / "root")
    yield disk
    disk.close()


@pytest.fixture
def chain(disk: Disk) -> ChainID:
    return disk.chain()


class TestSqliteRwLayers(RwLayerContract):
    @pytest.fixture
    def subject(self, disk: Disk) -> RwLayerStore:
        return disk.store()

    @pytest.fixture
    def data_root(self, disk: Disk) -> Path:
        return disk.root.path


class TestMemoryRwLayers(RwLayerContract):
    @pytest.fixture
    def data_root(self, memory: Path) -> Path:
        return memory

    @pytest.fixture
    def layers(self, memory: Path) -> MemoryLayerStore:
        (memory / "trees").mkdir()
        return MemoryLayerStore(memory / "trees", derive=derive)

    @pytest.fixture
    def chain(self, layers: MemoryLayerStore) -> ChainID:
        return base_chain(layers)

    @pytest.fixture
    def subject(self, memory: Path, layers: MemoryLayerStore) -> RwLayerStore:
        return MemoryRwLayerStore(memory, layers)


def test_what_is_published_in_a_transaction_that_is_undone_is_nowhere(disk: Disk, chain: ChainID) -> None:
    store = disk.store()

    with suppress(ZeroDivisionError), store.prepare(chain) as draft, disk.database.transaction():
        draft.publish("c1")
        raise ZeroDivisionError

    assert (store.list(), disk.left()) == ([], [])


def kept(disk: Disk, store: SqliteRwLayerStore, name: str) -> KeptMount:
    record = store.get(name).record
    return KeptMount(
        target=RwPlace(disk.root.rw / record.mount_id).merged,
        image_id=None,
        chain_id=record.chain_id,
        driver=record.driver,
        rw_layer=name,
        place=mounts.here(),
    )


def test_a_chain_is_needed_as_long_as_a_layer_stands_on_it(disk: Disk, chain: ChainID) -> None:
    store = disk.store()
    question = "SELECT count(*) FROM chain_users WHERE chain_id = ?"

    make(store, "c1", chain)
    before = disk.database.query(question, (chain,))
    store.release("c1")

    assert (before, disk.database.query(question, (chain,))) == ([(1,)], [(0,)])


def test_a_chain_that_was_removed_meanwhile_gets_no_layer(disk: Disk, chain: ChainID) -> None:
    store = disk.store()

    with store.prepare(chain) as draft:
        disk.database.execute("DELETE FROM chains")
        with pytest.raises(NotFoundError, match="removed meanwhile"):
            draft.publish("c1")

    assert disk.left() == []


def test_what_is_looked_at_while_it_is_removed_is_told_so(disk: Disk, chain: ChainID) -> None:
    seen: list[tuple[str, str]] = []

    def look(step: str) -> None:
        with pytest.raises((ConflictError, MountNotFoundError)) as caught:
            layer.changes()
        seen.append((step, str(caught.value)))

    with disk.store().prepare(chain) as draft:
        draft.publish("box")
    store = disk.store(look)
    layer = store.get("box")
    store.release("box")

    assert seen == [
        ("the layer is marked", "box is being removed"),
        ("the layer is moved away", "box is being removed"),
        ("the layer's files are gone", "box is being removed"),
        ("the layer is forgotten", "mount does not exist: box"),
    ]


def test_a_mount_that_a_crash_left_is_undone_at_the_next_start(overlay: Disk) -> None:
    root = make(overlay.store(), "c1", overlay.chain()).mount()

    store = overlay.restart()

    assert not os.path.ismount(root)
    store.release("c1")
    assert overlay.left() == []


def test_a_mount_that_is_to_stay_is_recognised_by_later_processes(overlay: Disk) -> None:
    store = overlay.store()
    layer = make(store, "c1", overlay.chain())
    overlay.mounts.put(kept(overlay, store, "c1"))
    root = layer.mount()
    layer.unmount()
    (root / "new").touch()

    store = overlay.restart()
    stays = os.path.ismount(root), (root / "new").exists()
    with pytest.raises(ConflictError, match="mount still active"):
        store.release("c1")
    store.get("c1").mount()
    overlay.mounts.delete(root)
    store.get("c1").unmount()

    assert (stays, os.path.ismount(root)) == ((True, True), False)
    store.release("c1")


@pytest.mark.parametrize("place", ["another boot mnt:[1]", ""])
def test_a_mount_of_another_boot_counts_as_unmounted(overlay: Disk, place: str) -> None:
    store = overlay.store()
    make(store, "c1", overlay.chain())
    gone = kept(overlay, store, "c1")
    overlay.mounts.put(replace(gone, place=place or gone.place))

    overlay.restart().release("c1")

    assert overlay.mounts.list() == []


def test_a_mount_of_another_namespace_is_believed(overlay: Disk) -> None:
    store = overlay.store()
    make(store, "c1", overlay.chain())
    boot = mounts.here().partition(" ")[0]
    overlay.mounts.put(replace(kept(overlay, store, "c1"), place=f"{boot} mnt:[1]"))

    overlay.restart()

    assert len(overlay.mounts.list()) == 1


def test_cleanup_leaves_what_is_to_stay(overlay: Disk) -> None:
    store = overlay.store()
    chain = overlay.chain()
    stays, goes = make(store, "c1", chain), make(store, "c2", chain)
    overlay.mounts.put(kept(overlay, store, "c1"))

    places = [stays.mount(), goes.mount()]
    store.cleanup()

    assert [os.path.ismount(place) for place in places] == [True, False]


def test_cleanup_goes_on_where_something_is_in_use(overlay: Disk) -> None:
    store = overlay.store()
    chain = overlay.chain()
    first, second = make(store, "c1", chain).mount(), make(store, "c2", chain).mount()

    with (first / "etc/passwd").open(), pytest.raises(ConflictError, match="in use"):
        store.cleanup()

    assert [os.path.ismount(place) for place in (first, second)] == [True, False]
    store.cleanup()
    assert not os.path.ismount(first)


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_cannot_be_removed_can_be_tried_again(tmp_path: Path, driver: str) -> None:
    disk = Disk(tmp_path / "root", driver)
    store = disk.store()
    layer = make(store, "c1", disk.chain())
    stuck = layer.mount() / "stuck"
    stuck.touch()
    layer.unmount()
    in_place = disk.root.rw / layer.record.mount_id / ("diff" if disk.driver == "overlay2" else "merged") / "stuck"
    subprocess.run(["chattr", "+i", in_place], check=True)
    try:
        with pytest.raises(StoreError):
            store.release("c1")
        with pytest.raises(StoreError):
            store.release("c1")
        with pytest.raises(ConflictError, match="being removed"):
            store.get("c1").mount()
    finally:
        found = next(path for path in disk.root.tmp.rglob("stuck"))
        subprocess.run(["chattr", "-i", found], check=True)

    store.release("c1")

    assert (store.list(), disk.left()) == ([], [])
    disk.close()


@pytest.mark.parametrize("code", [errno.EXDEV, errno.ENOSPC])
def test_a_layer_that_can_have_no_other_name_is_removed_where_it_lies(
    disk: Disk, chain: ChainID, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    store = disk.store()
    layer = make(store, "c1", chain)
    (layer.mount() / "new" / "file").mkdir(parents=True)
    layer.unmount()
    (disk.root.rw / "strange" / "file").mkdir(parents=True)

    def refuse(*_: object) -> None:  # overlay, for a directory of its lower layer, and a full disk
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr("headway.store.removal.os.rename", refuse)
        store.release("c1")
        store.recover(set)

    assert (store.list(), disk.left()) == ([], [])


def test_a_layer_whose_directory_is_gone_can_be_released(disk: Disk, chain: ChainID) -> None:
    store = disk.store()
    layer = make(store, "c1", chain)
    subprocess.run(["rm", "-rf", disk.root.rw / layer.record.mount_id], check=True)

    store.release("c1")

    assert store.list() == []


def test_what_holds_nothing_of_the_container_is_made_again_where_it_is_gone(overlay: Disk) -> None:
    """Such as by a copy of the data root that left empty directories out."""
    store = overlay.store()
    layer = make(store, "box", overlay.chain())
    merged = layer.mount()
    (merged / "kept").write_text("kept")
    merged.chmod(0o711)
    shown = sorted(path.relative_to(merged) for path in merged.rglob("*"))
    layer.unmount()
    place = RwPlace(overlay.root.rw / layer.record.mount_id)
    for directory in (place.init, place.work, place.merged):
        shutil.rmtree(directory)

    layer.mount()

    assert sorted(path.relative_to(merged) for path in merged.rglob("*")) == shown
    assert ((merged / "kept").read_text(), stat.S_IMODE(merged.stat().st_mode)) == ("kept", 0o711)
    assert overlay.left() == [layer.record.mount_id]


@pytest.mark.parametrize("kind", ["nothing", "a file", "a link"])
def test_without_its_init_layer_it_tells_the_same_changes(overlay: Disk, kind: str) -> None:
    layer = make(overlay.store(), "box", overlay.chain())
    (layer.mount() / "kept").write_text("kept")
    layer.unmount()
    told = layer.changes(), layer.size()
    init = RwPlace(overlay.root.rw / layer.record.mount_id).init
    shutil.rmtree(init)
    if kind == "a file":
        init.write_text("no directory")
    if kind == "a link":
        init.symlink_to(overlay.root.path)

    assert (layer.changes(), layer.size()) == told
    assert overlay.left() == [layer.record.mount_id]


def test_a_layer_of_another_driver_is_still_there(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "root", "vfs")
    make(disk.store(), "c1", disk.chain())
    disk.driver = "overlay2"

    layer = disk.store().get("c1")

    assert (layer.mount() / "etc/passwd").read_text() == "root"
    assert layer.metadata() == {}
    disk.close()


def test_the_paths_of_its_metadata_exist(overlay: Disk) -> None:
    layer = make(overlay.store(), "c1", overlay.chain())

    data = layer.metadata()

    place = overlay.root.rw / layer.record.mount_id
    assert data["LowerDir"].split(":")[0] == str(place / "init")
    assert (data["MergedDir"], data["UpperDir"]) == (str(place / "merged"), str(place / "diff"))
    assert all(os.path.isdir(path) for value in data.values() for path in value.split(":"))


def test_a_layer_is_synced_before_it_is_published(overlay: Disk) -> None:
    """Who publishes one holds the database, and everybody else waits so long."""
    steps: list[str] = []
    store = overlay.store(steps.append)

    with store.prepare(overlay.chain()) as draft:
        prepared = steps.copy()
        draft.publish("c1")

    assert (prepared, steps) == (CREATE[:3], CREATE)


# --- kills ---

CREATE = ["the init layer is made", "the layer is made", "the layer is synced", "the layer is renamed",
          "the layer is recorded"]  # fmt: skip
RELEASE = ["the layer is marked", "the layer is moved away", "the layer's files are gone", "the layer is forgotten"]
CHILD = """
import os, signal, sys
from pathlib import Path
from headway.oci.digest import ChainID, Digest
from tests.contract.rw_layer_contract import make
from tests.contract.test_rw_layers import Disk

def at(step):
    if step == sys.argv[4]:
        os.kill(os.getpid(), signal.SIGKILL)

disk = Disk(Path(sys.argv[1]), sys.argv[2])
store = disk.store(at)
if sys.argv[3] == "create":
    make(store, "c1", ChainID(Digest(sys.argv[5])))
else:
    store.release("c1")
"""


def killed(disk: Disk, what: str, step: str, chain: ChainID) -> None:
    """Let another process do something, and kill it at a step."""
    arguments = [str(disk.root.path), disk.driver, what, step, chain]
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(CHILD), *arguments], check=False)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("step", CREATE)
def test_killed_at_any_step_of_creating_nothing_is_left(disk: Disk, chain: ChainID, step: str) -> None:
    killed(disk, "create", step, chain)

    store = disk.restart()

    assert (store.list(), disk.left()) == ([], [])
    make(store, "c1", chain)


@pytest.mark.parametrize("step", RELEASE)
def test_killed_at_any_step_of_removing_the_rest_goes_at_the_next_start(disk: Disk, chain: ChainID, step: str) -> None:
    layer = make(disk.store(), "c1", chain)
    (layer.mount() / "new").mkdir()
    layer.unmount()
    disk.store().cleanup()
    if disk.driver == "overlay2":
        layer.mount()
        layer.unmount()

    killed(disk, "release", step, chain)
    store = disk.restart()

    assert (store.list(), disk.left()) == ([], [])
    with suppress(MountNotFoundError):
        store.release("c1")


def test_every_step_is_visited(disk: Disk, chain: ChainID) -> None:
    visited: list[str] = []
    store = disk.store(visited.append)

    make(store, "c1", chain)
    store.release("c1")

    assert visited == [*CREATE, *RELEASE]


def test_storage_options_are_refused_in_mobys_words(disk: Disk, chain: ChainID) -> None:
    unknown, size = {
        "overlay2": ("Unknown option foo", "--storage-opt is supported only for overlay over xfs with 'pquota' mount"),
        "vfs": ("Storage opt foo not supported", "Filesystem does not support, or has not enabled quotas"),
    }[disk.driver]

    for options, text in (({"foo": "1"}, unknown), ({"size": "1G"}, size), ({"size": "much"}, "invalid size: 'much'")):
        with pytest.raises(UnsupportedError) as refused, disk.store().prepare(chain, storage_opt=options):
            pass
        assert str(refused.value).startswith(text)
