"""What containers change: the same for every driver, and the same as comparing every file by hand."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from zlib import crc32

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.container_records import Change, ChangeKind, RwPlace
from headway.errors import StoreError
from headway.interfaces.drivers import RwDriver
from headway.layers.drivers import mounts
from headway.layers.drivers.overlay2 import Overlay2Driver
from headway.layers.drivers.vfs import VfsDriver
from headway.layers.tar.reader import TarReader
from headway.layers.trees.changes import compare
from headway.layers.trees.changes_tar import changes_archive
from headway.layers.trees.init_layer import make_init_layer
from headway.layers.trees.merged import MergedView, Spot
from headway.layers.trees.rootfs import unpack
from headway.layers.unpacking.applier import apply_layer
from headway.records import LayerReport, Tree
from tests.fakes.nobody import as_nobody, home_of_nobody
from tests.fakes.tars import Item, Source, directory, file, symlink, whiteout
from tests.fakes.trees import look, plant

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts, and makes whiteouts")

M, A, D = ChangeKind
BELOW = (
    (directory("./"), directory("etc/"), file("etc/passwd", b"root"), file("etc/group", b"wheel"), file("gone")),
    (
        directory("etc/"),
        file("etc/group", b"users", mtime=1_700_000_000),
        whiteout("gone"),
        directory("usr/"),
        directory("usr/bin/"),
        file("usr/bin/a", b"a", mode=0o755),
        file(
            "usr/bin/b", b"b", records={"SCHILY.xattr.security.capability": b"\1\0\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"}
        ),
        symlink("bin", "usr/bin"),
        directory("var/"),
        directory("var/log/"),
        file("var/log/x"),
    ),
)


class Container:
    """A read-write layer over some trees, mounted."""

    def __init__(self, driver: RwDriver, path: Path, trees: Sequence[Tree], *, init: bool = False) -> None:
        self.driver = driver
        self.place = RwPlace(path)
        path.mkdir()
        self.trees = list(trees)
        if init:
            self.trees.append(Tree(self.place.init, make_init_layer(trees, self.place.init)))
        driver.create(self.place, self.trees, {})
        driver.mount_rw(self.place, self.trees)
        self.root = self.place.merged

    def changes(self) -> dict[str, ChangeKind]:
        found = self.driver.changes(self.place, self.trees)
        assert [change.path for change in found] == sorted((change.path for change in found), key=os.fsencode)
        return {change.path: change.kind for change in found}

    def size(self) -> int:
        return self.driver.size(self.place, self.trees)


@contextmanager
def container(driver: RwDriver, path: Path, trees: Sequence[Tree], *, init: bool = False) -> Iterator[Container]:
    """Give a container; nothing stays mounted."""
    made = Container(driver, path, trees, init=init)
    try:
        yield made
    finally:
        driver.unmount(made.root)


def planted(path: Path, layers: Sequence[Sequence[Item]] = BELOW) -> list[Tree]:
    return [plant(path / f"{number}", *items) for number, items in enumerate(layers)]


class ChangesContract:
    """Each test holds for every driver."""

    @pytest.fixture
    def driver(self) -> RwDriver:
        raise NotImplementedError

    @pytest.fixture
    def box(self, driver: RwDriver, tmp_path: Path) -> Iterator[Container]:
        with container(driver, tmp_path / "rw", planted(tmp_path)) as made:
            yield made

    def test_a_new_container_has_changed_nothing(self, box: Container) -> None:
        assert box.changes() == {}
        assert box.size() == 0

    def test_reading_changes_nothing(self, box: Container) -> None:
        for folder, _, names in os.walk(box.root):
            for name in names:
                Path(folder, name).read_bytes() if not os.path.islink(Path(folder, name)) else None

        assert box.changes() == {}

    @pytest.mark.parametrize(
        ("edit", "expected"),
        [
            (lambda root: (root / "new").write_text("x"), {"/new": A}),
            (lambda root: (root / "etc/new").write_text("x"), {"/etc": M, "/etc/new": A}),
            (lambda root: (root / "etc/passwd").write_text("toor"), {"/etc": M, "/etc/passwd": M}),
            (lambda root: (root / "etc/passwd").chmod(0o600), {"/etc": M, "/etc/passwd": M}),
            (lambda root: os.chown(root / "etc/passwd", 7, 7), {"/etc": M, "/etc/passwd": M}),
            (lambda root: os.utime(root / "etc/passwd", (9, 9)), {"/etc": M, "/etc/passwd": M}),
            (lambda root: (root / "etc/passwd").unlink(), {"/etc": M, "/etc/passwd": D}),
            (lambda root: shutil.rmtree(root / "usr"), {"/usr": D}),
            (lambda root: shutil.rmtree(root / "usr/bin"), {"/usr": M, "/usr/bin": D}),
            (lambda root: (root / "usr").chmod(0o700), {"/usr": M}),
            (lambda root: os.utime(root / "usr", (9, 9)), {}),
            (lambda root: (root / "usr/deep/er").mkdir(parents=True), {"/usr": M, "/usr/deep": A, "/usr/deep/er": A}),
            (lambda root: (root / "bin/c").touch(), {"/usr": M, "/usr/bin": M, "/usr/bin/c": A}),
            (lambda root: ((root / "bin").unlink(), (root / "bin").symlink_to("sbin")), {"/bin": M}),
            (lambda root: os.removexattr(root / "usr/bin/b", "security.capability"),
             {"/usr": M, "/usr/bin": M, "/usr/bin/b": M}),
            (lambda root: os.setxattr(root / "usr/bin/b", "user.x", b"y"), {}),
            (lambda root: ((root / "etc/a").touch(), (root / "etc/a").unlink()), {}),
            (lambda root: os.mkfifo(root / "etc/fifo"), {"/etc": M, "/etc/fifo": A}),
            (lambda root: os.link(root / "etc/passwd", root / "p"), {"/p": A}),
        ],
    )  # fmt: skip
    def test_each_kind_of_edit_is_told(
        self, box: Container, edit: Callable[[Path], object], expected: dict[str, ChangeKind]
    ) -> None:
        edit(box.root)

        assert box.changes() == expected

    def test_a_directory_made_again_tells_what_it_lost(self, box: Container) -> None:
        shutil.rmtree(box.root / "usr/bin")
        (box.root / "usr/bin").mkdir()
        (box.root / "usr/bin/new").touch()

        bin_ = box.root / "usr/bin"
        expected = {"/usr": M, "/usr/bin": M, "/usr/bin/a": D, "/usr/bin/b": D, "/usr/bin/new": A}
        assert stat.S_IMODE(bin_.stat().st_mode) == 0o755
        assert box.changes() == expected

    def test_a_file_that_became_a_directory_and_back(self, box: Container) -> None:
        (box.root / "etc/passwd").unlink()
        (box.root / "etc/passwd").mkdir()
        (box.root / "etc/passwd/in").touch()
        shutil.rmtree(box.root / "var")
        (box.root / "var").write_text("flat")

        assert box.changes() == {"/etc": M, "/etc/passwd": M, "/etc/passwd/in": A, "/var": M}

    def test_a_file_that_another_layer_had_removed_is_new(self, box: Container) -> None:
        (box.root / "gone").touch()

        assert box.changes() == {"/gone": A}

    def test_a_name_that_is_no_text_is_told(self, box: Container) -> None:
        name = os.fsencode(box.root) + b"/\xff\xfe"
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY))

        assert box.changes() == {"/\udcff\udcfe": A}

    def test_whole_seconds_equal_any_fraction(self, box: Container) -> None:
        os.utime(box.root / "etc/passwd", ns=(0, 1_600_000_000_123_456_789))

        assert box.changes() == {}

    def test_a_device_that_was_touched_is_modified(self, driver: RwDriver, tmp_path: Path) -> None:
        tree = plant(tmp_path / "tree", directory("./"), Item("disk", type="block", device=(7, 200)))

        with container(driver, tmp_path / "rw", [tree]) as box:
            os.utime(box.root / "disk", (9, 9))
            assert box.changes() == {"/disk": M}

    def test_the_size_is_that_of_what_was_written_hard_links_once(self, box: Container) -> None:
        (box.root / "one").write_bytes(b"x" * 100_000)
        os.link(box.root / "one", box.root / "two")
        (box.root / "dir").mkdir()
        (box.root / "dir/link").symlink_to("12345678")
        (box.root / "etc/group").unlink()

        assert box.size() == 100_008

    def test_what_the_init_layer_holds_is_no_change(self, driver: RwDriver, tmp_path: Path) -> None:
        with container(driver, tmp_path / "rw", planted(tmp_path), init=True) as box:
            assert (box.root / ".dockerenv").exists()
            assert box.changes() == {}
            (box.root / "etc/hosts").write_text("127.0.0.1 localhost")
            assert box.changes() == {"/etc": M, "/etc/hosts": M}
            assert box.size() == len("127.0.0.1 localhost")

    def test_a_container_of_nothing_has_only_what_was_put_there(self, driver: RwDriver, tmp_path: Path) -> None:
        with container(driver, tmp_path / "rw", []) as box:
            (box.root / "a").mkdir()
            assert box.changes() == {"/a": A}

    def test_they_make_a_layer_with_whiteouts_links_and_attributes(self, box: Container, tmp_path: Path) -> None:
        (box.root / "one").write_bytes(b"x" * 3_000_000)
        os.link(box.root / "one", box.root / "two")
        os.setxattr(box.root / "one", "user.x", b"y")
        os.mkfifo(box.root / "etc/fifo")
        shutil.rmtree(box.root / "usr")
        (box.root / "etc/passwd").unlink()

        applied = as_a_layer(box, tmp_path / "applied")

        assert applied == shown(box.root)
        assert applied["two"][4] == "['one', 'two']"

    def test_nothing_but_the_changes_is_in_their_layer(self, box: Container) -> None:
        shutil.rmtree(box.root / "usr/bin")
        (box.root / "etc/new").symlink_to("passwd")

        tar = b"".join(changes_archive(box.driver.changes(box.place, box.trees), box.root))

        listed = subprocess.run(["tar", "-t"], input=tar, capture_output=True, check=True).stdout.decode().split()
        assert listed == ["etc/", "etc/new", "usr/", "usr/.wh.bin"]

    def test_what_became_something_else_meanwhile_is_left_out(self, box: Container) -> None:
        (box.root / "etc/new").touch()
        (box.root / "opt").mkdir()
        (box.root / "opt/new").touch()
        changes = box.driver.changes(box.place, box.trees)
        shutil.rmtree(box.root / "opt")
        (box.root / "opt").symlink_to("etc")

        tar = b"".join(changes_archive(changes, box.root))

        listed = subprocess.run(["tar", "-t"], input=tar, capture_output=True, check=True).stdout.decode().split()
        assert listed == ["etc/", "etc/new", "opt"]


class TestOverlay2Changes(ChangesContract):
    @pytest.fixture
    def driver(self) -> RwDriver:
        return Overlay2Driver()

    def test_the_directories_are_those_that_exist(self, box: Container) -> None:
        data = box.driver.metadata(box.place, box.trees)

        assert list(data) == ["LowerDir", "MergedDir", "UpperDir", "WorkDir"]
        assert data["LowerDir"].split(":") == [str(tree.path) for tree in reversed(box.trees)]
        assert all(os.path.isdir(path) for value in data.values() for path in value.split(":"))
        assert box.driver.metadata(box.place, [*box.trees, *box.trees]) == data

    def test_what_was_written_and_looks_as_before_is_no_change_but_is_in_the_layer(self, box: Container) -> None:
        status = (box.root / "usr/bin/a").stat()
        (box.root / "usr/bin/a").write_bytes(b"z")
        os.utime(box.root / "usr/bin/a", ns=(status.st_atime_ns, status.st_mtime_ns))
        os.link(box.root / "var/log/x", box.root / "var/log/y")
        os.utime(box.root / "etc", ns=(0, 5))

        seen = box.changes()
        found = box.driver.changes(box.place, box.trees, written=True)
        tar = b"".join(changes_archive(found, box.root))

        assert seen == {"/var": M, "/var/log": M, "/var/log/y": A}
        assert {change.path for change in found} == {*seen, "/etc", "/usr", "/usr/bin", "/usr/bin/a", "/var/log/x"}
        reader = TarReader([tar])
        content = {entry.name: entry.linkname or b"".join(map(bytes, reader.body())) for entry in reader}
        times = {entry.name: entry.mtime_ns for entry in TarReader([tar])}
        assert times[b"etc/"] == 5
        assert (content[b"usr/bin/a"], content[b"var/log/y"]) == (b"z", b"var/log/x")

    def test_only_changed_directories_are_looked_into(self, box: Container, tmp_path: Path) -> None:
        (box.root / "etc/new").touch()
        box.driver.unmount(box.root)
        shutil.rmtree(tmp_path / "1/var")

        assert box.changes() == {"/etc": M, "/etc/new": A}


class TestVfsChanges(ChangesContract):
    @pytest.fixture
    def driver(self) -> RwDriver:
        return VfsDriver()

    @pytest.mark.parametrize("path", ["etc", "etc/passwd", "bin"])
    def test_what_has_other_attributes_alone_is_no_change_but_is_in_the_layer(self, box: Container, path: str) -> None:
        os.setxattr(box.root / path, "trusted.x", b"y", follow_symlinks=False)

        found = box.driver.changes(box.place, box.trees, written=True)
        tar = b"".join(changes_archive(found, box.root))

        assert box.changes() == {}
        assert {entry.name.rstrip(b"/"): entry.xattrs for entry in TarReader([tar])}[path.encode()] == {
            b"trusted.x": b"y"
        }

    def test_an_attribute_that_is_gone_counts_and_one_that_the_store_could_not_hold_does_not(
        self, driver: RwDriver, tmp_path: Path
    ) -> None:
        tree = plant(tmp_path / "tree", directory("./"), file("a"), file("b", records={"SCHILY.xattr.user.x": b"y"}))
        unset = (("a", "trusted.overlay.x", b"1"), ("b", "trusted.overlay.x", b"1"))
        report = msgspec.structs.replace(tree.report, xattrs=unset)

        with container(driver, tmp_path / "rw", [Tree(tree.path, report)]) as box:
            assert driver.changes(box.place, box.trees, written=True) == []
            os.removexattr(box.root / "b", "user.x")
            assert driver.changes(box.place, box.trees, written=True) == [Change("/b", M)]

    def test_what_nobody_could_not_make_is_no_change(self) -> None:
        driver = VfsDriver()
        with home_of_nobody() as home:
            with as_nobody():
                (home / "tree/closed").mkdir(parents=True)
                (home / "tree/closed/f").write_text("x")
            report = LayerReport(
                root_entry=True,
                real_modes=(("closed", 0o500),),
                owners=(("closed/f", 1, 2),),
                devices=(("null", stat.S_IFCHR | 0o666, 1, 3),),
                xattrs=(("closed/f", "security.capability", b"\1"),),
            )
            with as_nobody():
                (home / "rw").mkdir()
                box = Container(driver, home / "rw/1", [Tree(home / "tree", report)], init=True)
                assert box.changes() == {}
                (box.root / "new").touch()
                assert box.changes() == {"/new": A}


# --- somebody is at work ---


class Going(MergedView):
    """Trees of which the topmost loses something once the root was looked into."""

    def inside(self, spot: Spot) -> list[Spot]:
        found = super().inside(spot)
        if not spot[0].path:
            shutil.rmtree(self.trees[-1].path / "new")
            (self.trees[-1].path / "same").unlink()
        return found


def test_what_goes_while_it_is_looked_at_is_no_error(tmp_path: Path) -> None:
    below = plant(tmp_path / "below", directory("./"), directory("old/"), file("old/f"), file("same"))
    copy = plant(
        tmp_path / "copy",
        directory("./"),
        *(directory("new/"), file("new/x")),
        *(directory("old/"), file("old/f"), file("old/g")),
        *(file("same"), file("z")),
    )

    with MergedView([below]) as before, Going([copy]) as after:
        found = compare(before, after, attributes=True)

    assert {change.path: change.kind for change in found} == {"/new": A, "/old": M, "/old/g": A, "/z": A}


# --- random edits ---

NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
EDITS = st.tuples(
    st.sampled_from(["write", "mkdir", "remove", "symlink", "chmod", "chown", "touch", "rename"]), PATHS, PATHS
)
ENTRIES = st.dictionaries(PATHS, st.sampled_from(["file", "dir", "symlink", "whiteout"]), max_size=6)


MAKE: dict[str, Callable[[str], Item]] = {
    # Each has a time of its own: what is renamed over a file of the same size and time, a copy does not tell (vfs).
    "file": lambda path: file(path, path.encode(), mtime=1_600_000_000 + crc32(path.encode()) % 100_000),
    "dir": lambda path: directory(f"{path}/"),
    "symlink": lambda path: symlink(path, "a"),
    "whiteout": whiteout,
}


def layer(entries: dict[str, str]) -> list[Item]:
    """Return a layer's items: parents first, nothing below what is no directory."""
    kinds: dict[str, str] = {}
    for path, kind in sorted(entries.items()):
        above = ["/".join(path.split("/")[:depth]) for depth in range(1, path.count("/") + 1)]
        if all(kinds.setdefault(one, "dir") == "dir" for one in above):
            kinds.setdefault(path, kind)
    return [directory("./"), *(MAKE[kind](path) for path, kind in kinds.items())]


def write(target: Path, clock: int) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    os.write(descriptor, b"x" * (clock % 7))
    os.close(descriptor)
    os.utime(target, (clock, clock))


def remove(target: Path, _: int) -> None:
    if target.is_dir() and not target.is_symlink():
        # In a directory that one layer alone has, overlayfs lists whiteouts, and then finds nothing there.
        shutil.rmtree(target, ignore_errors=True)
    else:
        target.unlink()


def chmod(target: Path, clock: int) -> None:
    if not target.is_symlink():
        target.chmod(0o700 + clock % 8)


EDIT: dict[str, Callable[[Path, int], object]] = {
    "write": write,
    "remove": remove,
    "chmod": chmod,
    "mkdir": lambda target, _: target.mkdir(),
    "symlink": lambda target, _: target.symlink_to("b"),
    "chown": lambda target, clock: os.chown(target, clock % 3, 0, follow_symlinks=False),
    "touch": lambda target, clock: os.utime(target, (clock, clock), follow_symlinks=False),
}


def edit(root: Path, what: str, path: str, other: str, clock: int) -> None:
    """Do one edit as a program would; what the file system refuses is left undone."""
    with suppress(OSError):
        if what in EDIT:
            EDIT[what](root / path, clock)
        elif not (root / path).is_dir():
            (root / path).rename(root / other)


def naive(before: Path, after: Path) -> dict[str, ChangeKind]:
    """Compare every file of two directories, as moby-behaviour 4.9 says it in words."""

    def facts(path: Path) -> tuple[object, ...]:
        status = path.lstat()
        shown = (status.st_mode, status.st_uid, status.st_gid)
        return shown if stat.S_ISDIR(status.st_mode) else (*shown, status.st_size, status.st_mtime_ns)

    def names(root: Path) -> set[str]:
        found = {
            str(Path(folder, name).relative_to(root))
            for folder, dirs, files in os.walk(root)
            for name in (*dirs, *files)
        }
        return {name for name in found if os.path.lexists(root / name)}

    old, new = names(before), names(after)
    changed = dict.fromkeys(new - old, A)
    changed |= {name: M for name in new & old if facts(before / name) != facts(after / name)}
    for name in old - new:
        parent = os.path.dirname(name)
        is_within = parent and not (os.path.isdir(after / parent) and not os.path.islink(after / parent))
        if not is_within:
            changed[name] = D
    for name in list(changed):
        while name := os.path.dirname(name):
            changed.setdefault(name, M)
    return {f"/{name}": kind for name, kind in changed.items()}


class Vanishing(MergedView):
    """A view whose file ``f`` goes once it was listed."""

    def inside(self, spot: Spot) -> list[Spot]:
        found = super().inside(spot)
        (self.trees[-1].path / "f").unlink()
        return found


def test_a_file_that_goes_below_a_container_while_changes_are_looked_for_is_no_bug(tmp_path: Path) -> None:
    below, copy = (plant(tmp_path / name, file("f", b"same")) for name in ("below", "copy"))

    with Vanishing([below]) as was, MergedView([copy]) as now, pytest.raises(StoreError, match="No such file"):
        compare(was, now)


def as_a_layer(box: Container, place: Path) -> dict[str, tuple[object, ...]]:
    """Make a layer of a container's changes, put it over the others, and return what that looks like."""
    changes = box.driver.changes(box.place, box.trees)
    tar = b"".join(changes_archive(changes, box.root))
    assert tar == b"".join(changes_archive(changes, box.root))
    (place / "tree").mkdir(parents=True)
    _, report = apply_layer(Source(tar), place / "tree", lambda _: None)
    assert report.stands_alone
    unpack([*box.trees, Tree(place / "tree", report)], place / "root")
    return shown(place / "root")


def shown(root: Path) -> dict[str, tuple[object, ...]]:
    """Return what there is to see, but for the times of directories, which are no change."""
    fields = ("mode", "owner", "size", "content", "same as", "xattrs")
    return {name: tuple(str(facts[field]) for field in fields) for name, facts in look(root).items() if name != "."}


@settings(max_examples=120)
@given(layers=st.lists(ENTRIES, min_size=1, max_size=3), edits=st.lists(EDITS, max_size=12))
def test_any_edits_are_told_as_by_comparing_every_file_with_both_drivers(
    layers: list[dict[str, str]], edits: list[tuple[str, str, str]]
) -> None:
    scene = Path(tempfile.mkdtemp(prefix="headway-changes-"))
    try:
        trees = planted(scene, [layer(entries) for entries in layers])
        before = scene / "before"
        VfsDriver().mount(trees, before)
        found = {}
        for driver in (Overlay2Driver(), VfsDriver()):
            with container(driver, scene / driver.name, trees) as box:
                for number, (what, path, other) in enumerate(edits):
                    edit(box.root, what, path, other, 1_000_000 + number)
                expected = naive(before, box.root)
                found[driver.name] = (box.changes(), expected)
                assert as_a_layer(box, scene / f"{driver.name} applied") == shown(box.root)
    finally:
        assert not any(place.startswith(str(scene)) for place in mounts.ours())
        shutil.rmtree(scene)

    assert found["overlay2"][0] == found["overlay2"][1]
    assert found["vfs"][0] == found["vfs"][1]
    assert found["overlay2"][0] == found["vfs"][0]
