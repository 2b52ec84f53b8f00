"""Pushes over links that break, and pushes that need not send anything."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.servers import DockerRegistry, docker_registry
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.story import CutUploadEvery, LinkFault
from tests.prove.scene import run
from tests.prove.sheet import Sheet, check

MB = 1_000_000


def _pulled(sheet: Sheet, image: images.Image, name: str) -> Cli:
    """Return a store with an image under a name."""
    cli, settings = Cli(sheet.place / "root"), sheet.place / "daemon.json"
    settings.write_text(json.dumps({"record-recipes": True}))
    with Registry([image]) as registry:
        source = f"{registry.host}/test/image"
        sheet.right("the image is pulled", run(cli, "pull", "--config-file", settings, source).problem)
        sheet.right("it gets its name", run(cli, "tag", source, name).problem)
    return cli


@check(
    "push-cuts",
    "Push of 120 MB, uploads cut every 10 MB, docker-registry 2.8: completes; bytes up <= 1.15 x on first contact, "
    "<= 1.03 x once the host is known.",
)
def push_cuts(sheet: Sheet) -> None:
    """Push one image twice, to two repositories: the second time the host is known, and nothing may be mounted."""
    layers = [images.noise_layer(size * MB, seed=sheet.seed + size) for size in (60, 40, 20)]
    image = images.image(layers)
    sheet.tell("image", f"{image.size:,} bytes in {len(layers)} layers")
    with _registry_behind(sheet, CutUploadEvery(10 * MB)) as (server, link):
        first, second = (f"{link.host}/{name}/image" for name in ("first", "second"))
        cli = _pulled(sheet, image, first)
        _push(sheet, cli, link, image, first, "first contact", limit=1.15)
        _is_right(sheet, server, image, "first/image")
        _forget_blobs(server)
        run(cli, "tag", first, second)
        _push(sheet, cli, link, image, second, "known host", limit=1.03)
        _is_right(sheet, server, image, "second/image")


@check("push-mounts", "Push of a pulled image to another repository of the same registry: 0 layer bytes.")
def push_mounts(sheet: Sheet) -> None:
    """Pull from docker-registry, and push the image back under another name."""
    layers = [images.noise_layer(size * MB, seed=sheet.seed + size) for size in (30, 20, 10)]
    image = images.image(layers)
    cli = Cli(sheet.place / "root")
    with _registry_behind(sheet) as (server, link):
        server.push(image, "first/image")
        sheet.right("the image is pulled", run(cli, "pull", f"{link.host}/first/image").problem)
        run(cli, "tag", f"{link.host}/first/image", f"{link.host}/second/image")
        before = link.bytes_up
        said = run(cli, "push", f"{link.host}/second/image")
        sheet.right("the push completes", said.problem)
        sheet.at_most("bytes up, headers and documents included", link.bytes_up - before, 30_000, decimals=0)
        sheet.right("the digest is the same", "" if image.manifest_digest in said.stdout else said.stdout)
        sheet.tell("took", f"{said.seconds:.1f} s")


@contextmanager
def _registry_behind(sheet: Sheet, *faults: LinkFault) -> Iterator[tuple[DockerRegistry, Link]]:
    with (
        docker_registry(sheet.place / "registry") as server,
        Link(target=("127.0.0.1", server.port), faults=faults) as link,
    ):
        yield server, link


def _push(sheet: Sheet, cli: Cli, link: Link, image: images.Image, name: str, what: str, *, limit: float) -> None:
    before, cuts = link.bytes_up, link.resets
    said = run(cli, "push", name)
    sheet.right(f"{what}: completes", said.problem)
    sheet.at_most(f"{what}: bytes up / layers", (link.bytes_up - before) / image.size, limit, "x", decimals=4)
    sheet.tell(f"{what}: cuts", link.resets - cuts)
    sheet.tell(f"{what}: took", f"{said.seconds:.1f} s")


def _is_right(sheet: Sheet, server: DockerRegistry, image: images.Image, repository: str) -> None:
    """Pull what was pushed, past the link, and compare the image's ID."""
    cli = Cli(sheet.place / repository.partition("/")[0])
    said = run(cli, "pull", f"{server.host}/{repository}")
    sheet.right(f"{repository}: is whole at the registry", said.problem)
    listed = run(cli, "images", "-q", "--no-trunc").stdout.split()
    sheet.right(f"{repository}: is the same image", "" if listed == [image.image_id] else f"it is {listed}")


def _forget_blobs(server: DockerRegistry) -> None:
    """Let the registry hold nothing of the first repository any more, so that nothing can be mounted from it."""
    for link in sorted((server.storage / "docker/registry/v2/repositories/first").glob("**/_layers/sha256/*/link")):
        digest = link.parent.name
        request = urllib.request.Request(f"{server.url}/v2/first/image/blobs/sha256:{digest}", method="DELETE")
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 202
