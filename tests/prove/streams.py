"""Links where the number of connections decides: thin ones, and registries that cap each connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.link import Link
from tests.faults.story import CutEvery, Latency, LinkFault, RateLimit, SlowConnection
from tests.prove.scene import difference, linked, ratio, run
from tests.prove.sheet import Sheet, check

MB = 1_000_000
THIN_RATE = 32_000.0  # 256 kbit/s
OUTAGE_SECONDS = 30.0
OUTAGE_EVERY_SECONDS = 180.0
CAP = 2.0 * MB
CONNECTIONS = 4


@check(
    "thin-link",
    "256 kbit/s, 300 ms each way, cut every 200 kB, outages of 30 s every 3 minutes, 20 MB in 6 layers: time <= 1.15 x "
    "(bytes / rate + outages).",
)
def thin_link(sheet: Sheet) -> None:
    """Pull over what a ship has."""
    sizes = (6_000_000, 5_000_000, 4_000_000, 3_000_000, 1_900_000, 100_000)
    layers = [images.noise_layer(size, seed=sheet.seed + size) for size in sizes]
    image = images.image(layers)
    faults = (RateLimit(THIN_RATE), Latency(0.3), CutEvery(200_000))
    cli = Cli(sheet.place / "root")
    with linked(*faults, image=image) as (_, link, name):
        with _outages(link) as outages:
            said = run(cli, "pull", name, seconds=3600.0)
        sheet.right("completes", said.problem)
        ideal = image.size / THIN_RATE + sum(outages)
        sheet.tell("outages", f"{len(outages)}, {sum(outages):.0f} s in all")
        sheet.tell("took", f"{said.seconds:.0f} s; bytes / rate + outages: {ideal:.0f} s")
        sheet.at_most("took / (bytes / rate + outages)", said.seconds / ideal, 1.15, "x", decimals=3)
        sheet.at_most("bytes over the link / layers", ratio(link, image), 1.02, "x", decimals=4)
        sheet.right("tree as built", difference(cli, name, sheet.place / "tree", layers))


@contextmanager
def _outages(link: Link) -> Iterator[list[float]]:
    """Let packets vanish for some time again and again while the block runs; give how long each outage was."""
    over = threading.Event()
    lasted: list[float] = []

    def break_off() -> None:
        while not over.wait(OUTAGE_EVERY_SECONDS - OUTAGE_SECONDS):
            link.down("drop")
            began = time.monotonic()
            over.wait(OUTAGE_SECONDS)
            lasted.append(time.monotonic() - began)
            link.up()

    thread = threading.Thread(target=break_off, daemon=True)
    thread.start()
    try:
        yield lasted
    finally:
        over.set()
        thread.join()


@check(
    "capped-connections",
    "4 connections capped at 2 MB/s each, one layer of 200 MB: <= 1.2 x its size / 8 MB/s; one of them at 1 %: "
    "<= 1.5 x.",
)
def capped_connections(sheet: Sheet) -> None:
    """Pull where all are alike, and where each of the first in turn is slow."""
    size = 200 * MB
    image = images.image([images.noise_layer(size, seed=sheet.seed)])
    capped = (RateLimit(CAP, shared=False), RateLimit(CONNECTIONS * CAP))
    _capped(sheet, "all alike", image, capped, limit=1.2)
    for nth in range(1, CONNECTIONS + 1):
        _capped(sheet, f"connection {nth} at 1 %", image, (*capped, SlowConnection(nth, CAP / 100)), limit=1.5)


def _capped(sheet: Sheet, title: str, image: images.Image, faults: tuple[LinkFault, ...], *, limit: float) -> None:
    with linked(*faults, image=image) as (registry, link, name):
        said = run(Cli(sheet.place / title.replace(" ", "-")), "pull", name)
        sheet.right(f"{title}: completes", said.problem)
        ideal = image.size / (CONNECTIONS * CAP)
        sheet.tell(f"{title}: took", f"{said.seconds:.1f} s, {len(registry.requests('blob'))} requests for blobs")
        sheet.at_most(f"{title}: took / (size / 8 MB/s)", said.seconds / ideal, limit, "x", decimals=3)
        sheet.at_most(f"{title}: bytes over the link / layers", ratio(link, image), 1.01, "x", decimals=4)
