"""What an init layer holds, and what gives way to it (moby-behaviour 4.4)."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from headway.layers.drivers.overlay2 import Overlay2Driver
from headway.layers.drivers.vfs import VfsDriver
from headway.layers.trees.init_layer import make_init_layer
from headway.layers.trees.rootfs import unpack
from headway.records import LayerReport, Tree
from tests.fakes.nobody import as_nobody, home_of_nobody
from tests.fakes.tars import Item, directory, file, symlink
from tests.fakes.trees import look, plant

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts, and makes whiteouts")

EVERYTHING = [
    ".dockerenv", "dev", "dev/console", "dev/pts", "dev/shm", "etc", "etc/hostname", "etc/hosts", "etc/mtab",
    "etc/resolv.conf", "proc", "sys",
]  # fmt: skip


def merged(path: Path, *layers: Sequence[Item]) -> Path:
    """Return a root file system of some layers and the init layer over them."""
    trees = [plant(path / f"{number}", *items) for number, items in enumerate(layers)]
    trees.append(Tree(path / "init", make_init_layer(trees, path / "init")))
    unpack(trees, path / "root")
    return path / "root"


def test_over_nothing_it_is_mobys_list(tmp_path: Path) -> None:
    found = look(merged(tmp_path))

    assert [name for name in found if name != "."] == EVERYTHING
    modes = {facts["mode"] for name, facts in found.items() if name not in (".", "etc/mtab")}
    assert modes == {oct(stat.S_IFDIR | 0o755), oct(stat.S_IFREG | 0o755)}
    assert found["etc/mtab"]["content"] == "/proc/mounts"
    assert {facts["owner"] for facts in found.values()} == {(0, 0)}


def test_files_and_links_of_the_image_give_way(tmp_path: Path) -> None:
    root = merged(
        tmp_path,
        [directory("etc/"), file("etc/hosts", b"127.0.0.1 x"), symlink("etc/resolv.conf", "/run/x"), file("sys", b"x")],
    )

    found = look(root)
    assert [found[f"etc/{name}"]["mode"] for name in ("hosts", "resolv.conf")] == [oct(stat.S_IFREG | 0o755)] * 2
    assert (root / "etc/hosts").read_bytes() == b""
    assert (root / "sys").is_dir()


def test_a_file_or_link_on_the_way_gives_way_with_what_it_led_to(tmp_path: Path) -> None:
    root = merged(
        tmp_path,
        [file("dev", b"flat"), symlink("etc", "usr/etc"), directory("usr/"), directory("usr/etc/"), file("usr/etc/x")],
    )

    assert sorted(os.listdir(root / "dev")) == ["console", "pts", "shm"]
    assert not (root / "etc").is_symlink()
    assert sorted(os.listdir(root / "etc")) == ["hostname", "hosts", "mtab", "resolv.conf"]
    assert os.listdir(root / "usr/etc") == ["x"]


def test_directories_stay_even_where_a_file_belongs(tmp_path: Path) -> None:
    root = merged(
        tmp_path,
        [directory("etc/"), directory("etc/hosts/"), file("etc/hosts/x"), directory("etc/mtab/"), directory("dev/"),
         directory("dev/console/"), directory("dev/pts/", mode=0o700)],
    )  # fmt: skip

    assert os.listdir(root / "etc/hosts") == ["x"]
    assert (root / "etc/mtab").is_dir()
    assert (root / "dev/console").is_dir()
    assert stat.S_IMODE((root / "dev/pts").stat().st_mode) == 0o700


def test_a_directory_of_the_image_looks_as_it_did(tmp_path: Path) -> None:
    etc = directory("etc/", mode=0o2750, uid=3, gid=4, mtime=9, records={"SCHILY.xattr.user.x": "y"})

    found = look(merged(tmp_path, [etc, file("etc/passwd")], [directory("other/")]))

    facts = found["etc"]
    assert (facts["mode"], facts["owner"], facts["mtime"]) == (oct(stat.S_IFDIR | 0o2750), (3, 4), 9_000_000_000)
    assert facts["xattrs"] == {"user.x": b"y"}
    assert "etc/passwd" in found


def test_the_kernel_shows_the_same(tmp_path: Path) -> None:
    layers = [[directory("etc/", mode=0o711), symlink("etc/hosts", "x"), file("dev", b"x")], [directory("run/")]]
    copy = merged(tmp_path, *layers)
    trees = [Tree(tmp_path / f"{number}", LayerReport()) for number in range(2)]
    (tmp_path / "mounted").mkdir()

    Overlay2Driver().mount([*trees, Tree(tmp_path / "init", LayerReport())], tmp_path / "mounted")
    try:
        found = look(tmp_path / "mounted")
    finally:
        Overlay2Driver().unmount(tmp_path / "mounted")

    shown = ("mode", "owner", "content")
    assert {name: [facts[field] for field in shown] for name, facts in found.items()} == {
        name: [facts[field] for field in shown] for name, facts in look(copy).items()
    }


def test_a_store_that_is_not_roots_remembers_what_it_could_not_set(tmp_path: Path) -> None:
    with home_of_nobody() as home, as_nobody():
        (home / "tree/etc").mkdir(parents=True)
        report = LayerReport(real_modes=(("etc", 0o555),), owners=(("etc", 3, 4),), xattrs=(("etc", "user.x", b"y"),))
        trees = [Tree(home / "tree", report)]

        made = make_init_layer(trees, home / "init")
        VfsDriver().mount([*trees, Tree(home / "init", made)], home / "root")

        assert stat.S_IMODE((home / "root/etc").stat().st_mode) == 0o555
        assert sorted(os.listdir(home / "root/etc")) == ["hostname", "hosts", "mtab", "resolv.conf"]
        VfsDriver().unmount(home / "root")

    assert (made.real_modes, made.owners, made.xattrs) == (
        (("etc", 0o555),), (("etc", 3, 4),), (("etc", "user.x", b"y"),),
    )  # fmt: skip


def test_what_a_layer_says_to_an_overlay_of_its_own_hides_nothing(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", directory("./"), directory("etc/"), file("etc/kept"))
    report = LayerReport(root_entry=True, xattrs=(("etc", "trusted.overlay.opaque", b"y"),))

    trees = [Tree(tree.path, report)]
    init = Tree(tmp_path / "init", make_init_layer(trees, tmp_path / "init"))
    unpack([*trees, init], tmp_path / "root")

    assert (tmp_path / "root/etc/kept").exists()
    assert os.listxattr(tmp_path / "init/etc") == []
