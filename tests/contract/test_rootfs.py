"""Merged trees written as plain files."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.errors import ConflictError, InvalidLayerError, StoreError, StoreFullError
from headway.layers.drivers.overlay2 import Overlay2Driver
from headway.layers.trees.copying import Missing
from headway.layers.trees.merged import MergedView
from headway.layers.trees.rootfs import UnpackReport, unpack
from headway.records import LayerReport, Tree
from tests.fakes.nobody import as_nobody, home_of_nobody
from tests.fakes.tars import Item, directory, file, hardlink, opaque, symlink, whiteout
from tests.fakes.trees import differences, look, nest, plant

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes devices, whiteouts and other users' files")

EVERYTHING = (
    directory("./", mode=0o751, uid=9, mtime=1),
    directory("d/", mode=0o3777, uid=1, gid=2, mtime=2, records={"SCHILY.xattr.user.d": "x"}),
    file("d/setuid", b"s" * 5000, mode=0o6755, uid=3, gid=4, mtime=3, records={"SCHILY.xattr.user.f": b"\0\xff"}),
    file("d/capable", b"c", mtime=4, records={"SCHILY.xattr.security.capability": b"\1\0\0\2\0\4" + b"\0" * 14}),
    file("d/empty", mode=0o000, mtime=-5),
    file(b"d/\xff\xfe not text", b"x", mtime=6),
    hardlink("d/another name", "d/setuid"),
    hardlink("yet another", "d/setuid"),
    symlink("d/link", "/etc/passwd", uid=5, gid=6, mtime=7),
    hardlink("d/link too", "d/link"),
    symlink("dangling", "../../../nowhere", mtime=8),
    Item("pipe", type="fifo", mode=0o620, uid=7, mtime=9),
    Item("null", type="char", mode=0o666, device=(1, 3), mtime=10),
    Item("loop", type="block", mode=0o660, gid=8, device=(7, 300), mtime=11),
)


def test_every_kind_of_entry_comes_out_as_it_is(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", *EVERYTHING)
    os.utime(tree.path / "d/setuid", ns=(1, 1_234_567_890_123_456_789))

    report = unpack([tree], tmp_path / "new" / "out")

    assert differences(tmp_path / "new" / "out", tree.path) == {}
    assert report == UnpackReport(entries=report.entries, size=report.size)
    assert (report.entries, report.size) == (14, 5002)
    assert os.listdir(tmp_path / "new") == ["out"]


def test_holes_stay_holes(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", directory("./"), file("sparse"))
    with open(tree.path / "sparse", "r+b") as sparse:
        sparse.seek(5 << 20)
        sparse.write(b"in the middle")
        sparse.truncate(50 << 20)

    unpack([tree], tmp_path / "out")

    assert (tmp_path / "out/sparse").read_bytes() == (tree.path / "sparse").read_bytes()
    assert (tmp_path / "out/sparse").stat().st_blocks < 100


def test_a_path_may_be_longer_than_the_kernel_takes_at_once(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", directory("./"))
    nest(tree.path, "n" * 200, 40, body=b"")

    report = unpack([tree], tmp_path / "out")

    assert report.entries == 42


def test_two_trees_of_two_layers_merge(tmp_path: Path) -> None:
    trees = [
        plant(
            tmp_path / "lower",
            directory("./", mode=0o700, mtime=1),
            directory("kept/", mode=0o700, mtime=2),
            file("kept/a", b"lower"),
            file("kept/b", b"lower"),
            directory("emptied/"),
            file("emptied/x", b"lower"),
            directory("was-directory/"),
            file("was-directory/x"),
            file("was-file"),
            file("gone"),
        ),
        plant(
            tmp_path / "upper",
            directory("kept/", mode=0o711, mtime=3),
            file("kept/a", b"upper"),
            directory("emptied/"),
            opaque("emptied"),
            file("was-directory", b"now a file"),
            directory("was-file/"),
            whiteout("gone"),
            whiteout("never-there"),
        ),
    ]

    unpack(trees, tmp_path / "out")

    found = look(tmp_path / "out")
    assert list(found) == [".", "emptied", "kept", "kept/a", "kept/b", "was-directory", "was-file"]
    assert (tmp_path / "out/kept/a").read_bytes() == b"upper"
    assert [found[name]["mode"] for name in (".", "kept")] == [oct(0o40700), oct(0o40711)]
    assert [found[name]["mtime"] for name in (".", "kept")] == [1_000_000_000, 3_000_000_000]


def test_no_layers_are_an_empty_directory(tmp_path: Path) -> None:
    report = unpack([], tmp_path / "out")

    assert (report.entries, os.listdir(tmp_path / "out")) == (1, [])
    assert (tmp_path / "out").stat().st_mtime_ns == 0


NAMES = st.sampled_from(["a", "b", "c"])
KINDS = st.sampled_from(["file", "dir", "opaque", "whiteout", "symlink"])
LAYERS = st.lists(
    st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), KINDS, max_size=8), min_size=1, max_size=4
)


def sketch(path: Path, entries: dict[str, str]) -> Tree:
    """Plant a tree of `entries`, leaving out what lies below something that is no directory."""
    path.mkdir()
    path.chmod(0o755)
    for name, kind in sorted(entries.items()):
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if kind in ("dir", "opaque"):
            place.mkdir()
        elif kind == "file":
            place.write_text(f"{path.name} {name}")
        elif kind == "symlink":
            place.symlink_to("b")
        else:
            os.mknod(place, stat.S_IFCHR, 0)
        if kind == "opaque":
            os.setxattr(place, "trusted.overlay.opaque", b"y")
    return Tree(path=path, report=LayerReport(root_entry=True))


def consistent(entries: dict[str, str]) -> dict[str, str]:
    """Return the entries whose parents are directories of the same layer or not in it."""
    solid = {name for name, kind in entries.items() if kind not in ("dir", "opaque")}
    return {name: kind for name, kind in entries.items() if not any(name.startswith(f"{other}/") for other in solid)}


@settings(max_examples=40, deadline=None)
@given(LAYERS)
def test_what_is_unpacked_is_what_the_kernel_shows(layers: list[dict[str, str]]) -> None:
    with TemporaryDirectory() as name:
        base = Path(name)
        trees = [sketch(base / str(number), consistent(layer)) for number, layer in enumerate(layers)]
        (base / "mounted").mkdir()
        driver = Overlay2Driver()

        unpack(trees, base / "out")
        driver.mount(trees, base / "mounted")

        try:
            found = differences(base / "out", base / "mounted")
        finally:
            driver.unmount(base / "mounted")
        assert found == {}


def test_a_directory_with_something_in_it_is_refused(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", *EVERYTHING)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")

    with pytest.raises(ConflictError, match="not empty"):
        unpack([tree], tmp_path / "out")

    assert os.listdir(tmp_path / "out") == ["mine"]


def test_a_place_that_cannot_be_is_named_once(tmp_path: Path) -> None:
    place = tmp_path / "file/out"
    (tmp_path / "file").touch()

    with pytest.raises(StoreError) as caught:
        unpack([plant(tmp_path / "tree", *EVERYTHING)], place)

    assert str(caught.value) == f"{place}: Not a directory"


def test_force_replaces_names_and_follows_no_symlink(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", *EVERYTHING)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "setuid").write_text("untouched")
    out = tmp_path / "out"
    out.mkdir()
    (out / "d").symlink_to(outside)
    (out / "null").symlink_to(outside / "made")
    (out / "pipe").mkdir()
    (out / "mine").write_text("mine")

    unpack([tree], out, force=True)

    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("setuid", "untouched")]
    (out / "mine").unlink()
    os.utime(out, (1, 1))
    assert differences(out, tree.path) == {}


def test_force_twice_gives_the_same(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", *EVERYTHING)
    unpack([tree], tmp_path / "out")

    unpack([tree], tmp_path / "out", force=True)

    assert differences(tmp_path / "out", tree.path) == {}


def test_force_does_not_remove_a_directory_with_something_in_it(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", *EVERYTHING)
    (tmp_path / "out/pipe").mkdir(parents=True)
    (tmp_path / "out/pipe/mine").write_text("mine")

    with pytest.raises(ConflictError, match="out/pipe is a directory that is not empty"):
        unpack([tree], tmp_path / "out", force=True)

    assert (tmp_path / "out/pipe/mine").read_text() == "mine"


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "small", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def test_a_full_disk_is_named_and_keeps_what_came(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", file("a", b"a" * 100_000), file("b", os.urandom(400_000)), file("c"))

    with small_disk(tmp_path / "small") as small:
        with pytest.raises(StoreFullError, match="small, at b"):
            unpack([tree], small)

        assert sorted(os.listdir(small)) == ["a", "b"]


def test_what_nobody_cannot_set_is_counted_and_named() -> None:
    with home_of_nobody() as home:
        with as_nobody():
            (home / "tree").mkdir()
            (home / "tree/ours").write_text("x")
            (home / "tree/theirs").write_text("x")
            (home / "tree/closed").mkdir(mode=0o700)
            (home / "tree/closed/inside").write_text("x")
            report = LayerReport(
                root_entry=True,
                owners=(("theirs", 1, 2),),
                real_modes=(("closed", 0o500), ("ours", 0o4711)),
                devices=(("closed/null", stat.S_IFCHR | 0o666, 1, 3),),
                xattrs=(("theirs", "security.capability", b"x"), ("ours", "user.note", b"y")),
            )

            found = unpack([Tree(path=home / "tree", report=report)], home / "out")

        assert (home / "out/closed").stat().st_mode == stat.S_IFDIR | 0o500
        assert (home / "out/ours").stat().st_mode == stat.S_IFREG | 0o4711
        assert os.getxattr(home / "out/ours", "user.note") == b"y"
        assert (found.owners, found.devices) == (Missing(1, ("theirs",)), Missing(1, ("closed/null",)))
        assert (found.xattrs, found.modes) == (Missing(1, ("theirs",)), Missing())


def test_a_device_that_nobody_can_make_is_missing_under_each_of_its_names() -> None:
    with home_of_nobody() as home:
        tree = plant(home / "tree", directory("./"), Item("a", type="char", device=(1, 3)), hardlink("b", "a"))

        with as_nobody():
            found = unpack([tree], home / "out")

        assert found.devices == Missing(2, ("a", "b"))
        assert os.listdir(home / "out") == []


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o600])
def test_a_directory_that_lets_nobody_in_takes_no_link_from_the_names_outside(mode: int) -> None:
    with home_of_nobody() as home:
        layer = [directory("./"), file("a/b/f", b"x"), hardlink("c", "a/b/f")]
        tree = plant(home / "tree", *layer)
        closed = LayerReport(root_entry=True, real_modes=(("a", mode), ("a/b", mode)))

        with as_nobody():
            found = unpack([Tree(path=tree.path, report=closed)], home / "out")

        assert found.modes == Missing()
        assert [(home / "out" / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [mode, mode]
        assert (home / "out/c").samefile(home / "out/a/b/f")


@pytest.mark.parametrize("mode", [0o555, 0o500, 0o000])
def test_nobody_unpacks_with_force_over_what_was_unpacked_before(mode: int) -> None:
    with home_of_nobody() as home:
        lower = plant(home / "lower", directory("./"), file("a/b/f", b"old"), symlink("a/s", "b"))
        upper = plant(home / "upper", file("a/b/f", b"new"), directory("a/b/d/"), file("a/s", b"file"), file("g", b"g"))
        closed = LayerReport(root_entry=True, real_modes=(("", mode), ("a", mode), ("a/b", mode)))
        before = [Tree(path=lower.path, report=closed)]

        with as_nobody():
            unpack(before, home / "out")
            unpack([*before, Tree(path=upper.path, report=closed)], home / "out", force=True)
            unpack(before, home / "out", force=True)

        assert (home / "out/a/b/f").read_text() == "old"
        assert (home / "out/a/s").is_symlink()
        assert [(home / "out" / name).stat().st_mode & 0o777 for name in ("", "a", "a/b")] == [mode, mode, mode]


def test_a_name_in_the_way_of_a_link_to_far_below_gives_way(tmp_path: Path) -> None:
    deep, other = "/".join(["d"] * 80), "/".join(["dd"] * 80)  # more than stay open
    links = [directory("e/"), hardlink("e/f", f"{deep}/f")]
    tree = plant(tmp_path / "tree", directory("./"), file(f"{deep}/f", b"new"), file(f"{other}/g"), *links)
    (tmp_path / "out/e").mkdir(parents=True)
    (tmp_path / "out/e/f").write_text("old")

    unpack([tree], tmp_path / "out", force=True)

    assert (tmp_path / "out/e/f").read_text() == "new"
    assert (tmp_path / "out/e/f").samefile(tmp_path / "out" / deep / "f")


def test_root_gives_what_a_user_could_only_note_down(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", directory("./"), directory("dev/"), file("f", b"x"))
    report = LayerReport(
        root_entry=True,
        owners=(("f", 1, 2), ("dev/null", 3, 4)),
        real_modes=(("f", 0o4000),),
        devices=(("dev/null", stat.S_IFCHR | 0o666, 1, 3),),
    )

    found = unpack([Tree(path=tree.path, report=report)], tmp_path / "out")

    null, f = (tmp_path / "out/dev/null").stat(), (tmp_path / "out/f").stat()
    assert found == UnpackReport(entries=found.entries, size=found.size)
    assert (null.st_mode, null.st_rdev, null.st_uid) == (stat.S_IFCHR | 0o666, os.makedev(1, 3), 3)
    assert (f.st_mode, f.st_uid, f.st_gid) == (stat.S_IFREG | 0o4000, 1, 2)


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("usr/lib", "usr/lib"),
        ("lib/x", "usr/lib/x"),
        ("/abs/x", "usr/lib/x"),
        ("climbs/x", "usr/x"),
        ("usr/../lib/../y", "usr/y"),
        ("../../usr", "usr"),
        ("hop", "usr/lib"),
        ("nowhere/x/y", "gone/x/y"),
        ("", ""),
    ],
)
def test_symlinks_lead_where_they_would_inside_the_root(tmp_path: Path, path: str, leads_to: str) -> None:
    trees = [
        plant(tmp_path / "lower", directory("usr/"), directory("usr/lib/"), symlink("lib", "usr/lib")),
        plant(
            tmp_path / "upper",
            symlink("abs", "/lib"),
            symlink("climbs", "../../../../../../usr"),
            symlink("hop", "abs"),
            symlink("nowhere", "gone"),
        ),
    ]

    with MergedView(trees) as view:
        found = view.resolve(path, follow_last=True)

    assert found == leads_to


def test_a_symlink_that_leads_to_itself_ends(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", symlink("a", "b"), symlink("b", "a"))

    with MergedView([tree]) as view, pytest.raises(InvalidLayerError, match="too many symbolic links"):
        view.resolve("a/x", follow_last=True)


def test_few_descriptors_are_open_however_many_trees_and_levels(tmp_path: Path) -> None:
    deep = "/".join("d" * 60)
    trees = []
    for number in range(60):
        (tmp_path / str(number) / deep).mkdir(parents=True)
        trees.append(Tree(path=tmp_path / str(number), report=LayerReport()))
    most = 0

    with MergedView(trees) as view:
        for _ in view.walk():
            most = max(most, len(os.listdir("/proc/self/fd")))

    assert most < 250
