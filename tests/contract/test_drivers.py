"""What every driver means by mounting trees, and what is each one's own."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from headway.container_records import Change, ChangeKind, RwPlace
from headway.errors import ConflictError, StoreError, UnsupportedError
from headway.interfaces.drivers import RwDriver
from headway.layers.drivers import mounts
from headway.layers.drivers.overlay2 import Overlay2Driver
from headway.layers.drivers.vfs import VfsDriver
from headway.records import LayerReport, Tree
from headway.store.removal import remove_tree
from tests.fakes.nobody import as_nobody, home_of_nobody
from tests.fakes.tars import directory, file, opaque, symlink, whiteout
from tests.fakes.trees import differences, look, plant

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts, and makes whiteouts")


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """Give an empty directory, on which nothing stays mounted."""
    path = tmp_path / "target with space"
    path.mkdir()
    yield path
    while mounts.sources(str(path)):
        mounts.unmount(str(path))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[RwPlace]:
    """Give where a read-write layer is to be, on which nothing stays mounted."""
    place = RwPlace(tmp_path / "layer with space")
    for each in (place.path, place.upper, place.work):
        each.mkdir()
    yield place
    while mounts.sources(str(place.merged)):
        mounts.unmount(str(place.merged))


@pytest.fixture
def trees(tmp_path: Path) -> list[Tree]:
    """Give three layers that replace, remove and hide."""
    return [
        plant(
            tmp_path / "0",
            directory("./", mode=0o555, uid=1, mtime=5, records={"SCHILY.xattr.user.root": "yes"}),
            directory("d/"),
            file("d/a", b"0"),
            file("d/b", b"0", mode=0o4755),
            directory("hidden/"),
            file("hidden/x"),
            file("gone"),
        ),
        plant(tmp_path / "1", directory("d/"), file("d/a", b"1"), whiteout("gone"), symlink("s", "d")),
        plant(tmp_path / "2", directory("hidden/", mode=0o700), opaque("hidden"), file("hidden/y", b"2")),
    ]


class DriverContract:
    """Each test holds for every driver."""

    @pytest.fixture
    def driver(self) -> RwDriver:
        raise NotImplementedError

    def test_a_read_only_mount_shows_the_merged_trees(
        self, driver: RwDriver, trees: Sequence[Tree], target: Path
    ) -> None:
        driver.mount(trees, target)

        found = look(target)
        assert list(found) == [".", "d", "d/a", "d/b", "hidden", "hidden/y", "s"]
        assert (target / "s/a").read_bytes() == b"1"
        assert (target / "d/b").stat().st_mode & 0o7777 == 0o4755

    def test_the_root_is_what_the_layers_say_of_it(self, driver: RwDriver, trees: Sequence[Tree], target: Path) -> None:
        driver.mount(trees, target)

        root = look(target)["."]
        assert (root["mode"], root["owner"], root["mtime"]) == (oct(0o40555), (1, 0), 5_000_000_000)
        assert root["xattrs"] == {"user.root": b"yes"}

    @pytest.mark.parametrize("count", [0, 1, 2, 3])
    def test_any_number_of_trees_mounts(
        self, driver: RwDriver, trees: Sequence[Tree], target: Path, count: int
    ) -> None:
        driver.mount(trees[:count], target)

        assert (target / "d/b").exists() == (count > 0)

    def test_125_trees_mount(self, driver: RwDriver, tmp_path: Path, target: Path) -> None:
        parent = tmp_path / ("long" * 30)
        parent.mkdir()
        trees = [plant(parent / f"{number}", file(f"f{number}")) for number in range(125)]

        driver.mount(trees, target)

        assert len(os.listdir(target)) == 125

    @pytest.mark.parametrize("is_writable", [False, True])
    def test_a_layer_that_is_there_twice_counts_where_it_is_topmost(
        self, driver: RwDriver, trees: Sequence[Tree], target: Path, place: RwPlace, *, is_writable: bool
    ) -> None:
        twice = [trees[0], trees[0], *trees[1:], trees[0]]

        if is_writable:
            target = place.merged
            driver.mount_rw(place, twice)
        else:
            driver.mount(twice, target)

        assert list(look(target)) == [".", "d", "d/a", "d/b", "gone", "hidden", "hidden/x", "hidden/y", "s"]
        assert (target / "d/a").read_bytes() == b"0"

    def test_unmount_leaves_an_empty_directory_and_can_be_said_twice(
        self, driver: RwDriver, trees: Sequence[Tree], target: Path
    ) -> None:
        driver.mount(trees, target)

        driver.unmount(target)
        driver.unmount(target)

        assert os.listdir(target) == []
        driver.mount(trees[:1], target)
        assert (target / "gone").exists()

    def test_what_is_written_outlives_a_mount(self, driver: RwDriver, trees: Sequence[Tree], place: RwPlace) -> None:
        target = place.merged
        before = [look(tree.path) for tree in trees]

        driver.mount_rw(place, trees)
        (target / "d/a").write_text("written")
        (target / "d/b").unlink()
        target.chmod(0o711)
        driver.unmount(target)
        driver.mount_rw(place, trees)

        assert [(path.name, path.read_text()) for path in (target / "d").iterdir()] == [("a", "written")]
        assert look(target)["."]["mode"] == oct(0o40711)
        assert [look(tree.path) for tree in trees] == before

    def test_a_container_starts_with_the_root_of_its_image(
        self, driver: RwDriver, trees: Sequence[Tree], place: RwPlace
    ) -> None:
        place.upper.chmod(0o700)

        driver.mount_rw(place, trees)

        root = look(place.merged)["."]
        assert (root["mode"], root["owner"], root["mtime"]) == (oct(0o40555), (1, 0), 5_000_000_000)

    def test_a_directory_with_something_in_it_is_refused(
        self, driver: RwDriver, trees: Sequence[Tree], target: Path
    ) -> None:
        (target / "mine").write_text("mine")

        with pytest.raises(ConflictError, match="not empty"):
            driver.mount(trees, target)

        driver.unmount(target)
        assert (target / "mine").read_text() == "mine"

    def test_a_second_mount_at_one_place_is_refused(
        self, driver: RwDriver, trees: Sequence[Tree], target: Path
    ) -> None:
        driver.mount(trees, target)

        with pytest.raises(ConflictError, match="not empty"):
            driver.mount(trees, target)

        assert (target / "d").exists()


class TestOverlay2(DriverContract):
    @pytest.fixture
    def driver(self) -> RwDriver:
        return Overlay2Driver()

    def test_it_says_that_it_works_here_and_leaves_no_trace(self, tmp_path: Path) -> None:
        reason = Overlay2Driver().supported(tmp_path)

        assert reason is None
        assert os.listdir(tmp_path) == []

    def test_it_says_why_it_does_not_work_for_nobody(self) -> None:
        driver = Overlay2Driver()

        with home_of_nobody() as home, as_nobody():
            reason = driver.supported(home)
            with pytest.raises(UnsupportedError, match="needs root"):
                driver.mount([], home)

        assert reason == "mounting needs root"

    def test_a_read_only_mount_cannot_be_written(self, trees: Sequence[Tree], target: Path) -> None:
        Overlay2Driver().mount(trees, target)

        with pytest.raises(OSError, match="Read-only"):
            (target / "new").write_text("x")

    def test_device_nodes_do_not_work_and_set_user_id_does(self, trees: Sequence[Tree], target: Path) -> None:
        Overlay2Driver().mount(trees, target)

        flags = os.statvfs(target).f_flag
        assert flags & os.ST_NODEV
        assert not flags & os.ST_NOSUID

    def test_a_mount_in_use_is_not_taken_away(self, trees: Sequence[Tree], target: Path) -> None:
        driver = Overlay2Driver()
        driver.mount(trees, target)

        with (target / "d/a").open("rb") as used:
            with pytest.raises(ConflictError, match="in use"):
                driver.unmount(target)
            assert used.read() == b"1"

        driver.unmount(target)
        assert os.listdir(target) == []

    def test_what_others_have_mounted_stays(self, target: Path) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "other", target], check=True)
        try:
            (target / "theirs").touch()

            Overlay2Driver().unmount(target)

            assert os.listdir(target) == ["theirs"]
        finally:
            subprocess.run(["umount", target], check=True)

    def test_an_opaque_root_hides_every_layer_below(self, trees: Sequence[Tree], target: Path, tmp_path: Path) -> None:
        top = plant(tmp_path / "top", opaque(""), file("only"))

        Overlay2Driver().mount([*trees, top], target)

        assert os.listdir(target) == ["only"]

    def test_attributes_of_a_layer_redirect_nothing(self, target: Path, tmp_path: Path) -> None:
        lower = plant(tmp_path / "lower", directory("secret/"), file("secret/x"))
        upper = plant(tmp_path / "upper", directory("open/"))
        os.setxattr(upper.path / "open", "trusted.overlay.redirect", b"/secret")

        Overlay2Driver().mount([lower, upper], target)

        # Kernels differ in whether they refuse to look or see an ordinary directory.
        try:
            seen = os.listdir(target / "open")
        except OSError:
            seen = []
        assert seen == []

    @pytest.mark.parametrize("key", ["trusted.overlay.opaque", "nonsense", "user." + "n" * 300])
    def test_attributes_of_a_root_that_no_tree_can_have_are_in_no_ones_way(
        self, target: Path, tmp_path: Path, key: str
    ) -> None:
        below = plant(tmp_path / "below", directory("./", mode=0o750), file("a"), file("b"))
        report = LayerReport(root_entry=True, xattrs=(("", key, b"y"), ("", "user.kept", b"1")))
        trees = [below, Tree(path=plant(tmp_path / "top", directory("./")).path, report=report)]
        place = RwPlace(tmp_path / "container")
        place.path.mkdir()
        driver = Overlay2Driver()

        driver.mount(trees, target)
        assert sorted(os.listdir(target)) == ["a", "b"]
        driver.unmount(target)
        driver.create(place, trees, {})
        driver.mount_rw(place, trees)
        try:
            (place.merged / "a").unlink()

            assert driver.changes(place, trees) == [Change("/a", ChangeKind.DELETED)]
            assert key not in os.listxattr(place.upper)
            assert os.getxattr(place.merged, "user.kept") == b"1"
        finally:
            driver.unmount(place.merged)

    def test_as_many_trees_mount_as_mount_can_be_told(self, target: Path, tmp_path: Path) -> None:
        trees = [plant(tmp_path / f"{number}", file(f"{number}", b"")) for number in range(181)]
        held = [os.open(tmp_path, os.O_PATH) for _ in range(200)]  # so that numbers of descriptors are longer
        try:
            Overlay2Driver().mount(trees[1:], target)
        finally:
            for each in held:
                os.close(each)

        assert len(os.listdir(target)) == 180
        Overlay2Driver().unmount(target)
        with pytest.raises(UnsupportedError, match="181 layers are more than can be mounted"):
            Overlay2Driver().mount(trees, target)

    def test_a_mount_that_fails_leaves_nothing_mounted(self, trees: Sequence[Tree], target: Path) -> None:
        gone = Tree(path=target.parent / "no such tree", report=LayerReport())

        with pytest.raises(Exception, match="No such file"):
            Overlay2Driver().mount([*trees, gone], target)

        assert not mounts.sources(str(target))


class TestVfs(DriverContract):
    @pytest.fixture
    def driver(self) -> RwDriver:
        return VfsDriver()

    def test_it_works_for_nobody(self) -> None:
        driver = VfsDriver()
        with home_of_nobody() as home, as_nobody():
            (home / "tree/closed").mkdir(parents=True)
            (home / "tree/closed/f").write_text("x")
            report = LayerReport(root_entry=True, real_modes=(("closed", 0o500),))

            driver.mount([Tree(path=home / "tree", report=report)], home / "target")
            assert (home / "target/closed/f").read_text() == "x"
            driver.unmount(home / "target")

            assert os.listdir(home / "target") == []

    def test_where_an_image_links_to_nothing_changes(self, target: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir(mode=0o755)
        (outside / "kept").touch()
        tree = plant(tmp_path / "tree", directory("d/"), symlink("run", str(outside)), symlink("d/run", str(outside)))
        driver = VfsDriver()
        driver.mount([tree], target)

        driver.unmount(target)

        assert stat.S_IMODE(outside.stat().st_mode) == 0o755
        assert os.listdir(outside) == ["kept"]
        assert os.listdir(target) == []

    def test_a_copy_deeper_than_calls_may_be_is_removed(self, target: Path, tmp_path: Path) -> None:
        tree = plant(tmp_path / "tree", directory("/".join(["d"] * 1100) + "/"))
        driver = VfsDriver()

        driver.mount([tree], target)
        driver.unmount(target)

        assert os.listdir(target) == []
        remove_tree(tree.path)  # pytest cannot

    def test_a_copy_that_was_interrupted_is_made_anew(self, trees: Sequence[Tree], target: Path) -> None:
        (target.parent / f".{target.name}.vfs").write_text("copying")
        (target / "half").write_text("x")

        VfsDriver().mount(trees, target)

        assert not (target / "half").exists()
        assert (target / "d/a").read_bytes() == b"1"

    def test_the_copy_of_a_container_is_kept(self, trees: Sequence[Tree], place: RwPlace) -> None:
        driver = VfsDriver()
        driver.mount_rw(place, trees)

        driver.unmount(place.merged)

        assert (place.merged / "d/a").read_bytes() == b"1"

    def test_the_copy_of_a_container_counts_as_one_once_it_is_synced(
        self, trees: Sequence[Tree], place: RwPlace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as patch:
            patch.setattr("headway.layers.drivers.vfs.syncfs", fail)
            with pytest.raises(StoreError):
                VfsDriver().mount_rw(place, trees)
        (place.merged / "d/a").write_bytes(b"torn")

        VfsDriver().mount_rw(place, trees)

        assert (place.merged / "d/a").read_bytes() == b"1"

    def test_somebody_who_is_not_root_can_empty_a_copy_whose_root_nobody_may_write(self) -> None:
        with home_of_nobody() as home, as_nobody():
            (home / "tree").mkdir()
            (home / "tree/a").touch()
            (home / "tree").chmod(0o555)
            (home / "target").mkdir()

            VfsDriver().mount([Tree(path=home / "tree", report=LayerReport(root_entry=True))], home / "target")
            mounted = os.listdir(home / "target")
            VfsDriver().unmount(home / "target")
            left = os.listdir(home / "target")
            (home / "tree").chmod(0o755)

        assert (mounted, left) == (["a"], [])

    def test_both_drivers_show_the_same(self, trees: Sequence[Tree], target: Path, tmp_path: Path) -> None:
        copy = tmp_path / "copy"

        Overlay2Driver().mount(trees, target)
        VfsDriver().mount(trees, copy)

        assert differences(copy, target) == {}
