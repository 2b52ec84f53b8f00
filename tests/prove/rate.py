"""A rate that downloads keep to, and what a dry run promises."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.prove.scene import difference, linked, run
from tests.prove.sheet import Sheet, check

MB = 1_000_000
RATE = 1 * MB
WINDOW_SECONDS = 10.0
SECONDS = 60


@check("rate-limit", "--limit-rate 1M over 60 s: within 5 % in every window of 10 s, with 1, 3 and 8 transfers.")
def rate_limit(sheet: Sheet) -> None:
    """Pull an image of so many layers, and look at every window of the link's own record."""
    for count in (1, 3, 8):
        size = SECONDS * RATE // count
        layers = [images.noise_layer(size, seed=sheet.seed + count * 100 + n) for n in range(count)]
        cli = Cli(sheet.place / f"{count}")
        settings = sheet.place / f"{count}.json"
        settings.write_text(json.dumps({"max-concurrent-downloads": count}))
        with linked(image=images.image(layers)) as (_, link, reference):
            said = run(cli, "--config-file", settings, "pull", "--limit-rate", "1M", reference)
            rates = windows(link.timeline)
        name = f"{count} transfer{'s' if count > 1 else ''}"
        sheet.right(f"{name}: completes", said.problem)
        sheet.at_least(f"{name}: windows of 10 s", len(rates), 40)
        sheet.at_most(f"{name}: fastest window", max(rates) / RATE, 1.05, "x", decimals=4)
        sheet.at_least(f"{name}: slowest window", min(rates) / RATE, 0.95, "x", decimals=4)
        sheet.right(f"{name}: tree as built", difference(cli, reference, sheet.place / f"{count}-tree", layers))


def windows(timeline: Sequence[tuple[float, int]]) -> list[float]:
    """Return the bytes a second of every window of ten seconds, one beginning each second, from the first big byte on.

    The end is left out: the last of several transfers has what the others left it.
    """
    began = next(at for at, count in timeline if count > 20_000)
    ended = next(at for at, count in timeline if count >= timeline[-1][1] - RATE // 10)
    starts = [began + n for n in range(int(ended - began - WINDOW_SECONDS) + 1)]
    return [(_at(timeline, start + WINDOW_SECONDS) - _at(timeline, start)) / WINDOW_SECONDS for start in starts]


def _at(timeline: Sequence[tuple[float, int]], moment: float) -> int:
    return max((count for at, count in timeline if at <= moment), default=0)


@check(
    "dry-run", "Dry runs of ten images, each then pulled: bytes over the link within 1 % of what was said, and no more."
)
def dry_run(sheet: Sheet) -> None:
    """Ask for each image's cost and pull it; some share layers, sizes differ by a factor of 500."""
    shared = images.noise_layer(300_000, seed=sheet.seed)
    with Registry() as registry, Link(target=registry.address) as link:
        for number in range(10):
            own = images.noise_layer(30_000 * 2**number, seed=sheet.seed + 1 + number)
            built = images.image([shared, own] if number % 3 else [own])
            registry.add(built, f"test/n{number}")
        cli = Cli(sheet.place / "root")
        for number in range(10):
            name = f"{link.host}/test/n{number}"
            planned = run(cli, "pull", "--dry-run", "--format", "json", name)
            said = json.loads(planned.stdout)["total"]["crossing"]
            before = link.bytes_down
            pulled = run(cli, "pull", name)
            crossed = link.bytes_down - before
            sheet.right(f"image {number}: completes", pulled.problem)
            sheet.right(f"image {number}: no more than was said", f"{crossed:,} of {said:,}" if crossed > said else "")
            sheet.at_most(
                f"image {number}: {crossed:,} bytes, off by", abs(crossed / said - 1) * 100, 1.0, "%", decimals=2
            )
