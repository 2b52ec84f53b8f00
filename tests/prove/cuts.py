"""Links that break all the time."""

from __future__ import annotations

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.story import CutEvery, LinkFault, ResetEvery
from tests.prove.scene import difference, left_over, linked, ratio, run
from tests.prove.sheet import Sheet, check

MB = 1_000_000
MIB = 1024 * 1024


@check("cut-4mb", "Link cut every 4 MB (EOF; and RST), 120 MB image of three layers: completes; bytes <= 1.01 x.")
def cut_4mb(sheet: Sheet) -> None:
    """Pull twice: once the link ends with FIN, once with RST."""
    layers = [images.noise_layer(size * MB, seed=sheet.seed + size) for size in (60, 40, 20)]
    image = images.image(layers)
    sheet.tell("image", f"{image.size:,} bytes in {len(layers)} layers")
    for name, fault in (("EOF", CutEvery(4 * MB)), ("RST", ResetEvery(4 * MB))):
        _pull(sheet, name, image, layers, fault, limit=1.01)


@check("reset-64k", "Reset every 64 KiB over 32 MB: completes, <= 1.02 x with headers.")
def reset_64k(sheet: Sheet) -> None:
    """Pull one layer in some five hundred pieces."""
    layers = [images.noise_layer(32 * MB, seed=sheet.seed)]
    image = images.image(layers)
    sheet.tell("image", f"{image.size:,} bytes in one layer")
    _pull(sheet, "RST", image, layers, ResetEvery(64 * 1024), limit=1.02)


@check("cut-64k", "Link cut every 64 KiB over 256 MiB: completes, <= 1.02 x with headers.")
def cut_64k(sheet: Sheet) -> None:
    """Pull one layer in more than four thousand pieces."""
    layers = [images.noise_layer(256 * MIB, seed=sheet.seed)]
    image = images.image(layers)
    sheet.tell("image", f"{image.size:,} bytes in one layer")
    _pull(sheet, "EOF", image, layers, CutEvery(64 * 1024), limit=1.02)


def _pull(
    sheet: Sheet, name: str, image: images.Image, layers: list[images.Files], fault: LinkFault, *, limit: float
) -> None:
    root = sheet.place / name
    cli = Cli(root)
    with linked(fault, image=image) as (_, link, reference):
        said = run(cli, "pull", reference)
        sheet.right(f"{name}: completes", said.problem)
        sheet.at_most(f"{name}: bytes over the link / layers", ratio(link, image), limit, "x", decimals=4)
        sheet.at_least(f"{name}: breaks of the link", link.cuts + link.resets, image.size // (5 * MB))
        sheet.tell(f"{name}: took", f"{said.seconds:.1f} s")
        sheet.right(f"{name}: tree as built", difference(cli, reference, sheet.place / f"{name}-tree", layers))
        sheet.right(f"{name}: nothing left over", left_over(root))
