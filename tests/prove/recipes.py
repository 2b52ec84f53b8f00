"""Layers that come back as the exact tar they came as."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from headway.errors import HeadwayError
from headway.layers.rebuild import verified
from headway.layers.recipe import Recipe
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.tars import Item, directory, file, hardlink, pax, symlink, tar, whiteout
from tests.faults.registry import Registry
from tests.prove.scene import run
from tests.prove.sheet import Sheet, check

SHARE = 1.5  # percent of the compressed layer


@check("recipes", "Every layer's exact tar comes back from its tree and its recipe, whose size is at most 1.5 % of it.")
def recipes(sheet: Sheet) -> None:
    """Pull plain and hard layers, and give each back."""
    layers = [_files(sheet.seed, 400, 20_000), _files(sheet.seed + 1, 3, 1_000_000), _hard()]
    image = images.image(layers)
    root = sheet.place / "root"
    settings = sheet.place / "daemon.json"
    settings.write_text('{"record-recipes": true}')
    with Registry([image]) as registry:
        said = run(Cli(root), "pull", "--config-file", str(settings), f"{registry.host}/test/image")
    sheet.right("the pull completes", said.problem)
    size = 0
    for number, layer in enumerate(layers):
        name = f"sha256-{hashlib.sha256(layer).hexdigest()}"
        size += _size(root / "recipes" / name)
        sheet.right(f"layer {number}: the tar comes back", _problem(root, name, layer))
    compressed = sum(len(image.blobs[digest]) for digest in image.layers)
    sheet.at_most("recipes, of the compressed layers", 100 * size / compressed, SHARE, "%")
    sheet.right("nothing is left in tmp/", ", ".join(os.listdir(root / "tmp")))


def _problem(root: Path, name: str, layer: bytes) -> str:
    """Return what is wrong with a layer that is given back."""
    try:
        with Recipe(root / "recipes" / name) as recipe:
            return "" if b"".join(verified(recipe, root / "trees" / name)) == layer else "another tar"
    except HeadwayError as error:
        return str(error)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _files(seed: int, count: int, size: int) -> bytes:
    """Return a layer of `count` files that do not compress."""
    noise = hashlib.shake_256(b"%d" % seed).digest(size + count)
    names = (f"usr/lib/package-{number // 20}/module_{number}.bin" for number in range(count))
    items = (
        file(name, noise[number : number + size], mtime=1_700_000_000 + number) for number, name in enumerate(names)
    )
    return tar(directory("usr"), directory("usr/lib"), *items)


def _hard() -> bytes:
    """Return a layer whose tree holds little of its tar."""
    return tar(
        directory("d", mode=0o555, uid=7),
        file("d/locked", b"locked", mode=0, gid=9),
        file("twice", b"first"),
        hardlink("again", "twice"),
        file("twice", b"second", mode=0o4755),
        symlink("l", "d"),
        file("l/through", b"a link"),
        whiteout("gone"),
        file(".wh..wh.plnk/1", b"aufs"),
        pax({"comment": "global"}, kind=b"g"),
        file("n" * 200, b"long", records={"mtime": "1700000000.123456789"}),
        Item("null", type="char", device=(1, 3)),
        end=bytes(1500) + b"behind the end",
    )
