"""What is known of a tree, and what of it is noticed when it changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from headway.interfaces.inventory import StoredTree
from headway.layers.recipes.recorder import Recorder
from headway.layers.recipes.tree_check import examine_tree
from headway.layers.unpacking.applier import apply_layer
from tests.fakes.tars import Item, Source, directory, file, hardlink, symlink, tar, whiteout

ITEMS = [
    directory("etc"),
    file("etc/replaced", b"first" * 100),
    file("etc/replaced", b"second" * 100),
    file("etc/big", os.urandom(20_000)),
    file("etc/empty"),
    Item("etc/fifo", type="fifo"),
    hardlink("etc/again", "etc/big"),
    symlink("etc/link", "big"),
    whiteout("etc/gone"),
]


@pytest.fixture(params=["with a recipe", "without"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> StoredTree:
    path, recipe = tmp_path / "tree", tmp_path / "recipe"
    path.mkdir()
    with Recorder(recipe, path) as recorder:
        diff_id, report = apply_layer(Source(tar(*ITEMS)), path, lambda _: None, observer=recorder)
        recorder.finish(diff_id)
    is_recorded = request.param == "with a recipe"
    return StoredTree(
        diff_id=diff_id,
        chain_id=None,
        path=path,
        recipe=recipe if is_recorded else None,
        size=report.size,
        members=report.members,
    )


def test_a_tree_is_right_as_it_was_unpacked(tree: StoredTree) -> None:
    assert list(examine_tree(tree, full=False)) == []
    assert list(examine_tree(tree, full=True)) == []


def remove_file(path: Path) -> None:
    (path / "etc" / "big").unlink()
    (path / "etc" / "again").unlink()


def remove_link(path: Path) -> None:
    (path / "etc" / "link").unlink()


def remove_empty_file(path: Path) -> None:
    (path / "etc" / "empty").unlink()


def remove_whiteout(path: Path) -> None:
    (path / "etc" / "gone").unlink()


def remove_name(path: Path) -> None:
    (path / "etc" / "fifo").unlink()


def cut(path: Path) -> None:
    os.truncate(path / "etc" / "big", 5)


def replace_by_a_directory(path: Path) -> None:
    (path / "etc" / "replaced").unlink()
    (path / "etc" / "replaced").mkdir()


def replace_by_a_link_outside(path: Path) -> None:
    (path / "etc" / "replaced").unlink()
    (path / "etc" / "replaced").symlink_to("/etc/passwd")


def add(path: Path) -> None:
    (path / "etc" / "new").write_bytes(b"new")


@pytest.mark.parametrize(
    "harm",
    [
        remove_file,
        remove_link,
        remove_empty_file,
        remove_whiteout,
        remove_name,
        cut,
        replace_by_a_directory,
        replace_by_a_link_outside,
        add,
    ],
)
def test_what_changes_names_kinds_or_sizes_is_noticed_without_reading(
    tree: StoredTree, harm: Callable[[Path], None]
) -> None:
    harm(tree.path)

    assert len(list(examine_tree(tree, full=False))) >= 1


def test_with_a_recipe_a_changed_byte_is_noticed_by_its_files_name(tree: StoredTree) -> None:
    data = bytearray((tree.path / "etc" / "big").read_bytes())
    data[10_000] ^= 1
    (tree.path / "etc" / "big").write_bytes(data)

    faults = list(examine_tree(tree, full=True))

    assert [("etc/big" in fault) for fault in faults] == ([True] if tree.recipe else [])


def test_a_damaged_recipe_is_named(tree: StoredTree) -> None:
    if tree.recipe is not None:
        os.truncate(tree.recipe, 100)

    faults = list(examine_tree(tree, full=False))

    assert [("recipe" in fault) for fault in faults] == ([True] if tree.recipe else [])


def test_a_tree_that_is_gone_is_one_fault(tree: StoredTree, tmp_path: Path) -> None:
    tree.path.rename(tmp_path / "elsewhere")

    assert list(examine_tree(tree, full=True)) == ["its files are gone"]
