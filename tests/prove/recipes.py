"""Layers that come back as the exact tar they came as."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import deque
from pathlib import Path
from statistics import median

from bench.corpus import PYTHON, SMALL, Image
from bench.peers import Headway
from bench.rounds import Bench
from bench.samples import OURS
from bench.setting import ready
from headway.errors import HeadwayError
from headway.layers.recipes.rebuild import verified
from headway.layers.recipes.recipe import Recipe
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.tars import Item, directory, file, hardlink, pax, symlink, tar, whiteout
from tests.faults.registry import Registry
from tests.prove.scene import run
from tests.prove.sheet import Sheet, check

SHARE = 1.5  # percent of the compressed layers
CPU, MEMORY = 10.0, 6.0  # percent of a pull without, megabytes more than without
ROUNDS = 5


@check(
    "recipes",
    "Every layer's exact tar comes back from its tree and its recipe, for at most 1.5 % of the compressed layers, "
    "10 % of a pull's CPU and 6 MB of memory.",
    needs_root=True,
)
def recipes(sheet: Sheet) -> None:
    """Pull plain and hard layers, and give each back; then pull real ones with and without; needs a network once."""
    _hard_layers(sheet)
    with ready([(SMALL, "gzip"), (PYTHON, "gzip")]) as (bench, images):
        for image in images:
            _cost(sheet, bench, image)


def _cost(sheet: Sheet, bench: Bench, image: Image) -> None:
    """Measure an image's pull with and without recipes in turn, on a fresh disk each, and give its layers back."""
    programs = [Headway(settings={"record-recipes": True}), Headway("without", {"record-recipes": False})]
    rounds = bench.compare(image, programs, rounds=ROUNDS, twins=0).rounds
    cpu = median(each[OURS].cpu_seconds / each["without"].cpu_seconds for each in rounds)
    memory = median(each[OURS].peak_rss_bytes - each["without"].peak_rss_bytes for each in rounds)
    sheet.at_most(f"{image.name}: CPU of a pull, more than without", 100 * (cpu - 1), CPU, "%", decimals=1)
    sheet.at_most(f"{image.name}: memory, more than without", memory / 1e6, MEMORY, "MB", decimals=1)
    root = sheet.place / image.name
    said = run(Cli(root), "pull", "--config-file", _settings(sheet), bench.registry.push(image))
    sheet.right(f"{image.name}: pulled once more", said.problem)
    names = os.listdir(root / "recipes")
    sheet.right(f"{image.name}: a recipe for each layer", "" if len(names) == len(image.layer_bytes) else str(names))
    sheet.right(f"{image.name}: every tar comes back", "; ".join(filter(None, (_damage(root, name) for name in names))))
    size = sum(_size(root / "recipes" / name) for name in names)
    share = 100 * size / sum(image.layer_bytes)
    sheet.at_most(f"{image.name}: recipes, of the compressed layers", share, SHARE, "%", decimals=2)
    shutil.rmtree(root)


def _settings(sheet: Sheet) -> Path:
    path = sheet.place / "daemon.json"
    path.write_text('{"record-recipes": true}')
    return path


def _hard_layers(sheet: Sheet) -> None:
    layers = [_files(sheet.seed, 400, 20_000), _files(sheet.seed + 1, 3, 1_000_000), _hard()]
    image = images.image(layers)
    root = sheet.place / "root"
    with Registry([image]) as registry:
        said = run(Cli(root), "pull", "--config-file", _settings(sheet), f"{registry.host}/test/image")
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
    if damage := _damage(root, name):
        return damage
    with Recipe(root / "recipes" / name) as recipe:
        return "" if b"".join(verified(recipe, root / "trees" / name)) == layer else "another tar"


def _damage(root: Path, name: str) -> str:
    """Return why a layer does not come back by its diff ID; nothing where it does."""
    try:
        with Recipe(root / "recipes" / name) as recipe:
            deque(verified(recipe, root / "trees" / name), maxlen=0)
    except HeadwayError as error:
        return str(error)
    return ""


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
