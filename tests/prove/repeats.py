"""Layers that are here already."""

from __future__ import annotations

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.registry import Registry
from tests.prove.scene import difference, run
from tests.prove.sheet import Sheet, check


@check("same-layer", "A layer that is here under another compression, or in another image, costs no layer bytes.")
def same_layer(sheet: Sheet) -> None:
    """Pull an image, then the same layers in other compressions and in another image."""
    layers = [images.noise_layer(5_000_000, seed=sheet.seed), images.noise_layer(2_000_000, seed=sheet.seed + 1)]
    extra = images.noise_layer(1_000_000, seed=sheet.seed + 2)
    first = images.image(layers)
    third = images.image([layers[0], extra], tag="other")
    again = {compression: images.image(layers, compression=compression) for compression in ("zstd", "none")}
    cli = Cli(sheet.place / "root")
    with Registry([first]) as registry:
        for compression, image in again.items():
            registry.add(image, "team/again", tag=compression)
        registry.add(third, "team/other")
        said = run(cli, "pull", f"{registry.host}/test/image")
        sheet.right("the first pull completes", said.problem)
        for name, image, blobs in (
            ("team/again:zstd", again["zstd"], ()),
            ("team/again:none", again["none"], ()),
            ("team/other:other", third, (third.layers[1],)),
        ):
            registry.log.clear()
            said = run(cli, "pull", f"{registry.host}/{name}")
            layer_bytes = sum(line.sent for line in registry.requests("blob") if line.reply.digest in image.layers)
            wanted = sum(len(image.blobs[digest]) for digest in blobs)
            sheet.right(f"{name}: completes", said.problem)
            sheet.at_most(f"{name}: layer bytes fetched", layer_bytes, wanted, "bytes", decimals=0)
            sheet.at_least(f"{name}: those that are new were seen", layer_bytes, wanted, "bytes")
        target = sheet.place / "tree"
        sheet.right(
            "other: tree as built", difference(cli, f"{registry.host}/team/other:other", target, [layers[0], extra])
        )
