"""Removing trees, whatever they look like."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from headway.errors import StoreError
from headway.store.data_root import DataRoot
from headway.store.removal import move_out, remove_tree
from tests.fakes.trees import nest

NOBODY = 65534


def test_a_tree_of_every_kind_of_file_is_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "file").write_text("x")
    os.link(tree / "a" / "file", tree / "a" / "b" / "hard link")
    os.mkfifo(tree / "pipe")
    (tree / "not utf-8").mkdir()
    os.mkdir(os.fsencode(tree) + b"/\xff")

    remove_tree(tree)

    assert os.listdir(tmp_path) == []


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").touch()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "to-directory").symlink_to(tmp_path / "outside")
    (tmp_path / "tree" / "to-nothing").symlink_to("nowhere")
    (tmp_path / "link").symlink_to("outside")

    remove_tree(tmp_path / "tree")
    remove_tree(tmp_path / "link")

    assert os.listdir(tmp_path) == ["outside"]
    assert os.listdir(tmp_path / "outside") == ["kept"]


def test_a_file_and_what_is_absent_are_removed_as_well(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    remove_tree(tmp_path / "file")
    remove_tree(tmp_path / "file")

    assert os.listdir(tmp_path) == []


def test_what_cannot_be_looked_at_is_not_taken_for_absent(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreError, match="Not a directory"):
        remove_tree(tmp_path / "file" / "tree")


def test_of_a_wide_directory_nothing_but_names_is_in_memory(tmp_path: Path) -> None:
    count = 3000
    (tmp_path / "tree").mkdir()
    for number in range(count):
        (tmp_path / "tree" / f"{number}").touch()

    tracemalloc.start()
    try:
        remove_tree(tmp_path / "tree")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert most < 200 * count, "what lstat says of a file takes some 500 bytes"


def test_a_tree_deeper_than_any_path_is_removed_with_few_descriptors(tmp_path: Path) -> None:
    nest(tmp_path, "deep", 1100)  # more than there are descriptors, or calls on the stack

    remove_tree(tmp_path / "deep")

    assert os.listdir(tmp_path) == []


@pytest.fixture
def no_room_for_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has every rename fail as on a full disk."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("headway.store.removal.os.rename", refuse)


@pytest.mark.usefixtures("no_room_for_a_name")
@pytest.mark.parametrize("remove", [move_out, lambda _, path: remove_tree(path)], ids=["moved out", "removed"])
def test_what_finds_no_room_for_another_name_is_removed_where_it_lies(
    root: DataRoot, remove: Callable[[DataRoot, Path], Path | None]
) -> None:
    tree = root.trees / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "file").write_text("x")
    os.link(tree / "a" / "b" / "file", root.trees / "other")
    (tree / "link").symlink_to(root.rw)
    (root.rw / "kept").touch()
    (root.blobs / "blob").write_text("x")

    private = [remove(root, path) for path in (tree, root.blobs / "blob")]

    assert private == [None, None]
    assert (os.listdir(root.trees), os.listdir(root.tmp)) == (["other"], [])
    assert not (root.blobs / "blob").exists()
    assert (root.trees / "other").read_text() == "x"
    assert (root.rw / "kept").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts something")
@pytest.mark.usefixtures("no_room_for_a_name")
@pytest.mark.parametrize("remove", [move_out, lambda _, tree: remove_tree(tree)], ids=["moved out", "removed"])
def test_what_is_mounted_in_a_tree_stays_where_that_can_have_no_other_name(
    tmp_path: Path, root: DataRoot, remove: Callable[[DataRoot, Path], object]
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    place = root.tmp / "tree" / "place"
    place.mkdir(parents=True)
    subprocess.run(["mount", "--bind", tmp_path / "kept", place], check=True)

    try:
        with pytest.raises(StoreError, match="busy"):
            remove(root, root.tmp / "tree")
    finally:
        subprocess.run(["umount", place], check=True)

    assert (tmp_path / "kept" / "file").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts overlay")
def test_what_overlay_cannot_move_is_removed_where_it_lies(tmp_path: Path) -> None:
    lower, upper, work, target = (tmp_path / name for name in ("lower", "upper", "work", "target"))
    for directory in (lower, upper, work, target):
        directory.mkdir()
    DataRoot(lower).make_directories()
    (lower / "trees" / "tree" / "a" / "b").mkdir(parents=True)
    (lower / "trees" / "tree" / "a" / "file").write_text("x")
    (lower / "trees" / "tree" / "link").symlink_to(lower / "rw")
    options = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=off"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", target], check=True)
    root = DataRoot(target)
    try:
        moved = move_out(root, root.trees / "tree")

        assert moved is None
        assert (os.listdir(root.trees), os.listdir(root.tmp)) == ([], [])
    finally:
        subprocess.run(["umount", target], check=True)
    assert (lower / "trees" / "tree" / "a" / "file").exists()
    assert (lower / "rw").exists()


def test_modes_are_no_hindrance_to_an_owner_who_is_not_root(tmp_path: Path) -> None:
    tree = tmp_path / "tmp" / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "file").touch()
    (tree / "a" / "file").touch()
    for path in (tree / "a" / "b", tree / "a", tree, tmp_path / "tmp"):
        os.chown(path, NOBODY, NOBODY)
    (tree / "a" / "b").chmod(0o000)
    (tree / "a").chmod(0o555)
    tree.chmod(0o500)
    script = (
        "import os, sys; from pathlib import Path; from headway.store.removal import remove_tree;"
        f"os.chdir(sys.argv[1]); os.setgid({NOBODY}); os.setuid({NOBODY});"
        "remove_tree(Path('tree'))"
    )

    subprocess.run([sys.executable, "-c", script, str(tmp_path / "tmp")], check=True)

    assert os.listdir(tmp_path / "tmp") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_what_is_mounted_inside_is_not_emptied(small_disk: Path, tmp_path: Path) -> None:
    inside = tmp_path / "tree" / "inside"
    inside.mkdir(parents=True)
    (small_disk / "kept").touch()
    subprocess.run(["mount", "--bind", small_disk, inside], check=True)

    try:
        for path in (tmp_path / "tree", small_disk):
            with pytest.raises(StoreError):
                remove_tree(path)

        assert os.listdir(small_disk) == ["kept"]
    finally:
        subprocess.run(["umount", inside], check=True)
