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
    cli = Cli(sheet.place / "root")
    with Registry([first]) as registry:
        for compression in ("zstd", "none"):
            registry.add(images.image(layers, compression=compression), "team/again", tag=compression)
        registry.add(third, "team/other")
        said = run(cli, "pull", f"{registry.host}/test/image")
        sheet.right("the first pull completes", said.problem)
        for name, blobs in (
            ("team/again:zstd", ()),
            ("team/again:none", ()),
            ("team/other:other", (third.layers[1],)),
        ):
            registry.log.clear()
            said = run(cli, "pull", f"{registry.host}/{name}")
            layer_bytes = sum(e.sent for e in registry.requests("blob") if e.reply.digest in _layers(registry, third))
            wanted = sum(len(third.blobs[digest]) for digest in blobs)
            sheet.right(f"{name}: completes", said.problem)
            sheet.at_most(f"{name}: layer bytes fetched", layer_bytes, wanted, "bytes", decimals=0)
        target = sheet.place / "tree"
        sheet.right(
            "other: tree as built", difference(cli, f"{registry.host}/team/other:other", target, [layers[0], extra])
        )


def _layers(registry: Registry, image: images.Image) -> set[str]:
    """Return the digests asked for that are no config: everything large."""
    asked = {line.reply.digest for line in registry.requests("blob")}
    return {digest for digest in asked if digest != image.image_id and _size(registry, digest) > 100_000}


def _size(registry: Registry, digest: str) -> int:
    return max(line.sent for line in registry.requests("blob") if line.reply.digest == digest)
