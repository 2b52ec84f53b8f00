"""Bytes that are wrong, and registries that ignore what is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.pull import bytes_kept
from tests.faults.story import CutAfter, Fault, FlipByte, IgnoreRange
from tests.prove.scene import Said, difference, linked, ratio, run
from tests.prove.sheet import Sheet, check

MIB = 1024 * 1024
SIZE = 48 * MIB


@check("flipped-bit", "One byte of a 48 MiB layer flipped on its way, at five places: repaired at <= 2.0 x the bytes.")
def flipped_bit(sheet: Sheet) -> None:
    """Flip a byte of noise, which only the digest shows, and of text, where unpacking fails."""
    for kind, layer in (("noise", images.noise_layer(SIZE, seed=sheet.seed)), ("text", _text())):
        image = images.image([layer])
        for percent in (0, 25, 50, 75, 100):
            at = min(image.size - 1, image.size * percent // 100)
            fault = Fault(FlipByte(at), kind="blob", digest=image.layers[0], nth=1)
            title = f"{kind}, at {percent} %"
            _pull(sheet, title, image, [layer], [fault], limit=2.0)


def _text() -> images.Files:
    """Return files that compress to about a half."""
    return {f"usr/{number}": images.noise(MIB, seed=number).hex().encode() for number in range(24)}


@check(
    "range-ignored",
    "A registry that ignores Range: one cut <= 2.0 x the bytes; cut each time, stops at <= 2.0 x, says why, keeps all.",
)
def range_ignored(sheet: Sheet) -> None:
    """Cut one layer's first answer at four fifths, and then each of its answers."""
    layers = [images.noise_layer(SIZE, seed=sheet.seed), images.noise_layer(SIZE // 2, seed=sheet.seed + 1)]
    image = images.image(layers)
    ignored = Fault(IgnoreRange(), kind="blob")
    cut = CutAfter(SIZE * 4 // 5)
    once = [ignored, Fault(cut, kind="blob", digest=image.layers[0], nth=1)]
    _pull(sheet, "cut once", image, layers, once, limit=2.0)
    always = [ignored, Fault(cut, kind="blob", digest=image.layers[0])]
    root = sheet.place / "always"
    with linked(image=image, script=always) as (_, link, name):
        said = run(Cli(root), "pull", name)
        sheet.right("cut each time: stops and says why", "" if _says_why(said) else said.stderr)
        sheet.at_most("cut each time: bytes over the link / layers", ratio(link, image), 2.0, "x", decimals=4)
        sheet.at_least("cut each time: bytes kept", bytes_kept(root), SIZE * 4 // 5)


def _says_why(said: Said) -> bool:
    return said.status != 0 and "ignores Range requests" in said.stderr


def _pull(
    sheet: Sheet, title: str, image: images.Image, layers: list[images.Files], script: Sequence[Fault], *, limit: float
) -> None:
    root = sheet.place / title.replace(" ", "-").replace(",", "")
    cli = Cli(root)
    with linked(image=image, script=script) as (_, link, name):
        said = run(cli, "pull", name)
        sheet.right(f"{title}: completes", said.problem)
        sheet.at_most(f"{title}: bytes over the link / layers", ratio(link, image), limit, "x", decimals=4)
        sheet.right(f"{title}: tree as built", difference(cli, name, root / "out", layers))
