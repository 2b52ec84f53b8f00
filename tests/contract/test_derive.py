"""Layers that lean on the layers below: what is derived from them looks as umoci leaves it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from headway.errors import InvalidLayerError
from headway.layers.drivers.overlay2 import Overlay2Driver
from headway.layers.trees.derive import derive_tree
from headway.layers.trees.merged import MergedView
from headway.layers.trees.merged_entry import MergedEntry
from headway.layers.trees.rootfs import UnpackReport, unpack
from headway.layers.trees.whiteouts import is_whiteout
from headway.layers.unpacking.applier import apply_layer
from headway.records import Tree
from tests.fakes import images
from tests.fakes.disks import BTRFS, EXT4, disk
from tests.fakes.tars import Item, Source, directory, file, hardlink, opaque, symlink, tar, whiteout
from tests.fakes.trees import differences, look, plant, umoci_unpack

Layer = Sequence[Item]

BASE: Layer = (
    directory("root/", mode=0o700, mtime=11),
    file("root/.profile", b"profile", mtime=12),
    directory("usr/", mtime=13),
    directory("usr/lib/", mode=0o2751, uid=3, gid=4, mtime=14, records={"SCHILY.xattr.user.note": "lib"}),
    file("usr/lib/libc.so", b"libc" * 100, mode=0o4755, uid=5, mtime=15, records={"SCHILY.xattr.user.a": "b"}),
    hardlink("usr/lib/libc.so.6", "usr/lib/libc.so"),
    symlink("lib", "usr/lib", mtime=16),
    symlink("lib64", "/lib", mtime=17),
    symlink("up", "../../../usr", mtime=18),
    symlink("dangling", "opt/nowhere", mtime=19),
    file("etc-file", b"etc", mtime=20),
    symlink("to-file", "etc-file", mtime=21),
)

LAYERS: dict[str, Sequence[Layer]] = {
    "an implicit directory looks as below": [BASE, [file("root/new", b"x")]],
    "two levels of implicit directories": [BASE, [file("usr/lib/new", b"x")]],
    "an implicit directory that is new": [BASE, [file("srv/www/index", b"x")]],
    "through a symlink": [BASE, [file("lib/b", b"x"), file("lib/deep/er", b"y")]],
    "through two symlinks, one absolute": [BASE, [file("lib64/b", b"x")]],
    "through a symlink that climbs": [BASE, [file("up/lib/b", b"x")]],
    "through a dangling symlink": [BASE, [file("dangling/b", b"x")]],
    "through a symlink, beside its target": [BASE, [file("usr/lib/a", b"x"), file("lib/b", b"y")]],
    "an explicit directory below a symlink": [BASE, [directory("lib/d/", mode=0o700), file("lib/d/f", b"x")]],
    "an explicit directory in place of a symlink": [
        BASE,
        [directory("lib/", mode=0o711), file("lib/f", b"x")],
    ],
    "a whiteout through a symlink": [BASE, [whiteout("lib/libc.so.6")]],
    "an opaque directory through a symlink": [BASE, [opaque("lib"), file("lib/only", b"x")]],
    "an implicit opaque directory": [BASE, [opaque("usr/lib"), file("usr/lib/only", b"x")]],
    "an opaque root above implicit directories": [BASE, [opaque(""), file("usr/lib/only", b"x"), file("new/f", b"y")]],
    "an opaque root below another layer": [
        BASE,
        [opaque(""), file("usr/lib/only", b"x")],
        [file("usr/lib/second", b"y"), hardlink("link", "usr/lib/only")],
    ],
    "a whiteout where there is nothing": [BASE, [whiteout("none/of/it"), file("root/x", b"x")]],
    "a hard link to a file with one name": [BASE, [hardlink("root/link", "root/.profile")]],
    "a hard link to a file with two names": [BASE, [hardlink("third", "usr/lib/libc.so")]],
    "a hard link through a symlink": [BASE, [hardlink("lib/third", "lib64/libc.so.6")]],
    "a hard link to a symlink": [BASE, [hardlink("lib-too", "lib")]],
    "hard links to a device and a pipe": [
        [
            *BASE,
            Item("null", type="char", device=(1, 3), mode=0o666, uid=5, gid=6, mtime=22),
            Item("pipe", type="fifo", mode=0o622, mtime=23),
        ],
        [hardlink("root/null", "null"), hardlink("root/pipe", "pipe")],
    ],
    "a hard link to a hard link": [BASE, [hardlink("one", "etc-file"), hardlink("two", "one")]],
    "a hard link to a hard link in another directory": [
        BASE,
        [hardlink("root/a", "etc-file"), hardlink("b", "etc-file"), hardlink("root/c", "b")],
    ],
    "a hard link over a lower file": [BASE, [hardlink("root/.profile", "etc-file")]],
    "a hard link to a file that then goes": [BASE, [hardlink("kept", "etc-file"), whiteout("etc-file")]],
    "two hard links to a file that then goes": [
        BASE,
        [hardlink("kept", "etc-file"), hardlink("root/kept", "etc-file"), whiteout("etc-file")],
    ],
    "a hard link to a file that is then replaced": [BASE, [hardlink("kept", "etc-file"), file("etc-file", b"new")]],
    "two hard links to a file that a directory replaces": [
        BASE,
        [hardlink("kept", "etc-file"), hardlink("too", "kept"), directory("etc-file/", mode=0o700)],
    ],
    "a hard link to one of two names that is then replaced": [
        BASE,
        [hardlink("third", "usr/lib/libc.so"), file("usr/lib/libc.so", b"new")],
    ],
    "a hard link into a directory that a symlink then replaces": [
        BASE,
        [hardlink("kept", "usr/lib/libc.so"), symlink("usr", "root")],
    ],
    "three layers": [
        BASE,
        [file("lib/second", b"2"), hardlink("usr/lib/link", "etc-file")],
        [file("lib64/third", b"3"), hardlink("root/link", "usr/lib/link"), hardlink("l3", "lib/second")],
    ],
    "a symlink that a middle layer moves": [
        BASE,
        [directory("system/"), directory("system/lib/", mode=0o750), symlink("opt", "system")],
        [file("opt/lib/x", b"x"), file("usr/lib/y", b"y")],
    ],
    "a root that the first layer describes": [
        [directory("./", mode=0o555, uid=1, mtime=7), *BASE],
        [file("x", b"x")],
        [file("root/y", b"y")],
    ],
    "a root that the second layer describes": [
        BASE,
        [directory("./", mode=0o750, mtime=8)],
        [file("root/y", b"y")],
    ],
}


ORDERED: dict[str, Sequence[Layer]] = {
    "a file that was whited out, and a directory without an entry": [
        BASE,
        [whiteout("etc-file"), file("etc-file/x", b"x")],
    ],
    "a directory that was whited out, and one without an entry": [BASE, [whiteout("root"), file("root/x", b"x")]],
    "a symlink that was whited out, and a directory without an entry": [BASE, [whiteout("lib"), file("lib/x", b"x")]],
    "a whiteout in a directory, and then one of it": [BASE, [whiteout("usr/lib/libc.so"), whiteout("usr/lib")]],
    "whiteouts from the bottom up": [BASE, [whiteout("usr/lib/libc.so"), whiteout("usr/lib"), whiteout("usr")]],
    "a directory that went with all in it, and came back": [
        BASE,
        [whiteout("root/.profile"), whiteout("root")],
        [file("root/x", b"x")],
    ],
    "a hard link to a hard link that is then replaced": [
        BASE,
        [hardlink("one", "etc-file"), hardlink("two", "one"), file("one", b"new")],
    ],
    "a file in place of the symlink that leads to it": [[symlink("b", "."), file("b/c", b"x"), file("b/b", b"y")]],
    "a link in place of the symlink that leads to it": [
        [directory("d/"), symlink("d/e", "../d"), file("f", b"x"), hardlink("d/e/e", "f")],
    ],
    "a directory of whiteouts that went, and came back": [
        BASE,
        [whiteout("root/.profile"), whiteout("root"), file("root/x", b"x")],
        [file("root/y", b"y")],
    ],
}


def applied(path: Path, *items: Item) -> Tree:
    """Return the tree that Headway itself makes of a layer."""
    path.mkdir()
    path.chmod(0o755)
    _, report = apply_layer(Source(tar(*items)), path, lambda count: None)
    return Tree(path=path, report=report)


def applied_rootless(path: Path, *items: Item) -> Tree:
    """Return the tree that a store which is not root's has of a layer."""
    path.mkdir()
    _, report = apply_layer(Source(tar(*items)), path, lambda count: None, rootless=True)
    return Tree(path=path, report=report)


def stacked(tmp_path: Path, layers: Sequence[Layer], make: Callable[..., Tree] = plant) -> list[Tree]:
    """Return the trees of a chain, derived where they have to be."""
    trees: list[Tree] = []
    for number, layer in enumerate(layers):
        tree = make(tmp_path / f"raw-{number}", *layer)
        if trees and not tree.report.stands_alone:
            derived = tmp_path / f"derived-{number}"
            tree = Tree(path=derived, report=derive_tree(trees, tree, derived))
        trees.append(tree)
    return trees


@pytest.mark.parametrize("make", [plant, applied])
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_what_is_unpacked_equals_umoci(tmp_path: Path, layers: Sequence[Layer], make: Callable[..., Tree]) -> None:
    expected = umoci_unpack(images.image([tar(*layer) for layer in layers]), tmp_path)
    trees = stacked(tmp_path, layers, make)

    report = unpack(trees, tmp_path / "ours")

    assert report == UnpackReport(entries=report.entries, size=report.size)
    assert differences(tmp_path / "ours", expected) == {}
    assert all(tree.report.stands_alone for tree in trees[1:])


@pytest.mark.parametrize("layers", ORDERED.values(), ids=ORDERED)
def test_what_depends_on_the_order_of_entries_equals_umoci(tmp_path: Path, layers: Sequence[Layer]) -> None:
    expected = umoci_unpack(images.image([tar(*layer) for layer in layers]), tmp_path)

    report = unpack(stacked(tmp_path, layers, applied), tmp_path / "ours")

    assert report == UnpackReport(entries=report.entries, size=report.size)
    assert differences(tmp_path / "ours", expected) == {}


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_what_is_mounted_equals_what_is_unpacked(tmp_path: Path, layers: Sequence[Layer]) -> None:
    trees = stacked(tmp_path, layers)
    unpack(trees, tmp_path / "unpacked")
    (tmp_path / "mounted").mkdir()
    driver = Overlay2Driver()

    driver.mount(trees, tmp_path / "mounted")

    try:
        found = differences(tmp_path / "mounted", tmp_path / "unpacked")
    finally:
        driver.unmount(tmp_path / "mounted")
    assert [name for name in found if name != ".: mtime"] == []


@pytest.mark.parametrize("name", ["d/a", "l/a"])
def test_a_layers_own_zero_device_hides_what_is_below(tmp_path: Path, name: str) -> None:
    lower = [directory("d"), file("d/a", b"x"), file("d/b", b"y"), symlink("l", "d")]
    layer = [Item(name, type="char", device=(0, 0)), hardlink("d/b", name)]
    trees = stacked(tmp_path, [lower, layer], applied)
    unpack(trees, tmp_path / "unpacked")
    (tmp_path / "mounted").mkdir()
    driver = Overlay2Driver()

    driver.mount(trees, tmp_path / "mounted")

    try:
        assert [os.path.lexists(tmp_path / "mounted/d" / name) for name in "ab"] == [False, False]
    finally:
        driver.unmount(tmp_path / "mounted")
    assert [is_whiteout((tmp_path / "unpacked/d" / name).lstat()) for name in "ab"] == [True, True]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ([file("etc-file/b", b"x")], "etc-file/b|etc-file is a file"),
        ([file("to-file/b", b"x")], "etc-file is a file"),
        ([hardlink("b", "nothing/here")], "b is a hard link to nothing/here, which no layer below has"),
        ([hardlink("b", "usr/lib")], "b is a hard link to usr/lib, which is a directory"),
    ],
)
def test_where_umoci_fails_the_layer_is_refused(tmp_path: Path, layer: Layer, message: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        umoci_unpack(images.image([tar(*BASE), tar(*layer)]), tmp_path)

    with pytest.raises(InvalidLayerError, match=message):
        stacked(tmp_path, [BASE, layer])


@pytest.mark.parametrize("make", [EXT4, BTRFS], ids=["ext4", "btrfs"])
def test_a_link_into_a_lower_layer_brings_no_name_back_that_the_layer_hides(
    tmp_path: Path, make: Sequence[str]
) -> None:
    lower = [file("f", b"x"), directory("d"), directory("d/e"), hardlink("d/e/g", "f")]

    with disk(tmp_path, make, megabytes=128) as place:
        trees = stacked(place, [lower, [opaque("d"), file("d/new"), hardlink("h", "f")]], applied)
        unpack(trees, place / "unpacked")
        found = look(place / "unpacked")

    assert sorted(found) == [".", "d", "d/new", "f", "h"]
    assert found["h"]["same as"] == ["f", "h"]


def test_the_names_of_all_lower_files_that_are_linked_to_are_looked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = range(50)
    lower = [*[file(f"a{number}") for number in numbers], *[hardlink(f"b{number}", f"a{number}") for number in numbers]]
    walk = MergedView.walk
    walks: list[MergedView] = []

    def counted(view: MergedView) -> Iterator[MergedEntry]:
        walks.append(view)
        return walk(view)

    monkeypatch.setattr(MergedView, "walk", counted)

    trees = stacked(tmp_path, [lower, [hardlink(f"c{number}", f"b{number}") for number in numbers]], applied)

    assert len(walks) == 1
    assert all((trees[1].path / f"c{number}").samefile(trees[1].path / f"a{number}") for number in numbers)


def test_a_bottom_layer_that_links_to_nothing_is_refused(tmp_path: Path) -> None:
    layer = [file("a", b"x"), hardlink("b", "nothing/here")]
    with pytest.raises(subprocess.CalledProcessError):
        umoci_unpack(images.image([tar(*layer)]), tmp_path)
    raw = applied(tmp_path / "raw", *layer)

    with pytest.raises(InvalidLayerError, match="b is a hard link to nothing/here, which no layer below has"):
        derive_tree([], raw, tmp_path / "derived")


def test_a_bottom_layers_link_to_what_comes_later_is_made(tmp_path: Path) -> None:
    raw = applied(tmp_path / "raw", hardlink("b", "d/later"), file("d/later", b"x", mode=0o4711, uid=7))

    derive_tree([], raw, tmp_path / "derived")

    assert (tmp_path / "derived/b").samefile(tmp_path / "derived/d/later")
    assert look(tmp_path / "derived/d")["later"] == look(raw.path / "d")["later"]


@pytest.mark.parametrize(
    "layer",
    [
        [hardlink("link", "d/file")],
        [hardlink("link", "d/file"), hardlink("again", "link")],
        [hardlink("again", "d/file"), file("d/file", b"x", mode=0o4400, uid=7)],
    ],
)
def test_what_the_disk_does_not_say_of_a_file_is_known_of_each_of_its_names(tmp_path: Path, layer: Layer) -> None:
    lower = applied_rootless(tmp_path / "lower", file("d/file", b"x", mode=0o4400, uid=7))
    raw = applied_rootless(tmp_path / "raw", *layer)

    report = derive_tree([lower], raw, tmp_path / "derived")

    names = {"d/file", *(os.fsdecode(item.name) for item in layer)}
    assert {name for name, mode in report.real_modes if mode == 0o4400} == names
    assert {name for name, *owner in report.owners if owner == [7, 0]} == names


def test_a_derived_tree_shares_content_and_changes_no_other_tree(tmp_path: Path) -> None:
    lower = plant(tmp_path / "lower", *BASE)
    raw = plant(tmp_path / "raw", file("lib/big", b"x" * 100_000), hardlink("third", "usr/lib/libc.so"))
    before = (look(lower.path), look(raw.path))

    report = derive_tree([lower], raw, tmp_path / "derived")

    assert (tmp_path / "derived/usr/lib/big").samefile(raw.path / "lib/big")
    assert report.disk_bytes < 50_000
    assert (look(lower.path), look(raw.path)) == before
