"""What a tree takes up is what du says, on every file system that a store may lie on."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from headway.layers.trees.derive import derive_tree
from headway.layers.unpacking.applier import apply_layer
from headway.records import Tree
from tests.fakes import disks
from tests.fakes.tars import Item, Source, directory, file, hardlink, symlink, tar, whiteout

SIZES = [0, 1, 59, 100, 199, 300, 1024, 4095, 4096, 5000, 70_000, 300_000]


def layer() -> list[Item]:
    """Return items of every kind: many in one directory, long links, attributes, what is replaced and removed."""
    source = random.Random(4)
    items = [directory("deep/er")]  # many/ is left to the layer below
    items += [file(f"many/{'n' * 60}-{number}", b"") for number in range(400)]
    items += [file(f"deep/{number}", source.randbytes(size)) for number, size in enumerate(SIZES)]
    items += [symlink(f"deep/l{length}", "t" * length) for length in (1, 2, 3, 59, 60, 127, 300, 1000)]
    for number, length in enumerate((1, 20, 200, 800)):
        items.append(file(f"deep/x{number}", b"x" * 5000, records={"SCHILY.xattr.user.key": "v" * length}))
    items += [hardlink("linked", "deep/5"), whiteout("gone"), whiteout("deep/.wh..opq")]
    return [*items, file("replaced", b"x" * 9000), file("replaced", b"y"), symlink("s", "t" * 90), file("s", b"z")]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems")
@pytest.mark.parametrize(
    ("make", "megabytes"),
    [(disks.EXT4, 64), (disks.EXT4_SMALL_BLOCKS, 32), (disks.EXT4_INLINE, 64), (disks.XFS, 320), (disks.BTRFS, 128)],
    ids=["ext4", "ext4-1k", "ext4-inline", "xfs", "btrfs"],
)
def test_a_layer_and_what_is_derived_of_it_take_up_what_du_says(
    tmp_path: Path, make: tuple[str, ...], megabytes: int
) -> None:
    with disks.disk(tmp_path, make, megabytes=megabytes) as place:
        trees = [place / name for name in ("base", "top", "derived")]
        for tree in trees[:2]:
            tree.mkdir()
        _, base = apply_layer(Source(tar(directory("many", mode=0o700))), trees[0], lambda _: None)
        _, top = apply_layer(Source(tar(*layer())), trees[1], lambda _: None)
        os.sync()  # some decide only then
        alone, before = disks.du(trees[1]), disks.du(place)
        derived = derive_tree([Tree(trees[0], base)], Tree(trees[1], top), trees[2])
        os.sync()

        assert base.disk_bytes == disks.du(trees[0])
        assert top.disk_bytes == pytest.approx(alone, rel=0.005)
        assert derived.disk_bytes == pytest.approx(disks.du(place) - before, rel=0.005)
