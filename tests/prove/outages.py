"""Silence, outages, dead links and hosts that do not exist."""

from __future__ import annotations

import time

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.waiting import wait_until
from tests.faults.link import Link
from tests.faults.pull import bytes_kept
from tests.faults.story import Fault, RateLimit, Refusal, SilentAfter, SlowResponse
from tests.prove.scene import IN_FLIGHT, ONE, difference, linked, meanwhile, ratio, run
from tests.prove.sheet import Sheet, check

MB = 1_000_000
OUTAGE_SECONDS = 70.0


@check("silence", "A connection that goes silent: resumed within 15 s (in the body, and before its headers).")
def silence(sheet: Sheet) -> None:
    """Let one connection fall silent after 5 MB, and another before it answers."""
    image = images.image([images.noise_layer(10 * MB, seed=sheet.seed)])
    with linked(SilentAfter(5 * MB), image=image) as (_, link, name):
        said = run(Cli(sheet.place / "body"), "pull", name)
        sheet.right("in the body: completes", said.problem)
        sheet.at_most("in the body: resumed after", _silence(link), 15.0, "s", decimals=1)
        sheet.at_most("in the body: bytes over the link / layers", ratio(link, image), 1.01, "x", decimals=4)
    script = [Fault(SlowResponse(600.0), kind="blob", digest=image.layers[0], nth=1)]
    with linked(image=image, script=script) as (registry, link, name):
        said = run(Cli(sheet.place / "headers"), "pull", name)
        first, second = [line.seconds for line in registry.requests("blob") if line.reply.digest == image.layers[0]][:2]
        sheet.right("before its headers: completes", said.problem)
        sheet.at_most("before its headers: asked again after", second - first, 15.0, "s", decimals=1)
        sheet.at_most("before its headers: bytes / layers", ratio(link, image), 1.01, "x", decimals=4)


def _silence(link: Link) -> float:
    """Return how long no byte came down after the link fell silent."""
    fell = next(when for when, what in link.events if what == "silence")
    before = max(total for when, total in link.timeline if when <= fell)
    return next(when for when, total in link.timeline if when > fell and total > before + 1_000) - fell


@check("outage-70s", "A 70 s outage in mid-layer with default settings: completes at 1.00 x.")
def outage_70s(sheet: Sheet) -> None:
    """Take the link away twice: nobody listens, and every packet vanishes."""
    layers = [images.noise_layer(40 * MB, seed=sheet.seed)]
    image = images.image(layers)
    hows: tuple[tuple[Refusal, str], ...] = (("refuse", "refused"), ("drop", "packets vanish"))
    for how, title in hows:
        cli = Cli(sheet.place / how)
        with linked(RateLimit(10 * MB), image=image) as (_, link, name):
            with meanwhile(lambda link=link, how=how: _outage(link, how)):  # type: ignore[misc]  # mypy and defaults
                said = run(cli, "pull", name)
            sheet.right(f"{title}: completes", said.problem)
            sheet.at_least(f"{title}: took", said.seconds, OUTAGE_SECONDS, "s", decimals=0)
            # In it is what reaches a connection that was given up, too.
            sheet.at_most(f"{title}: bytes over the link / layers", ratio(link, image), ONE, "x", decimals=4)
            sheet.right(f"{title}: tree as built", difference(cli, name, sheet.place / f"{how}-tree", layers))


def _outage(link: Link, how: Refusal) -> None:
    wait_until(lambda: link.bytes_down > 9 * MB)
    link.down(how)
    time.sleep(OUTAGE_SECONDS)
    link.up()


@check("attempts-3", "--max-download-attempts=3 on a dead link: stops after three, bytes kept, said in three parts.")
def attempts_3(sheet: Sheet) -> None:
    """Unplug the link in mid-layer, let the pull stop, and finish it when the link is back."""
    image = images.image([images.noise_layer(size * MB, seed=sheet.seed + size) for size in (12, 8)])
    cli = Cli(sheet.place / "root")
    with linked(RateLimit(8 * MB), image=image) as (_, link, name):
        command = ["pull", "--max-download-attempts=3", name]
        with meanwhile(lambda: _unplug(link, image.size // 2)):
            said = run(cli, *command)
        connections = link.connections
        kept = link.bytes_down
        sheet.right("stops with status 75", "" if said.status == 75 else f"status {said.status}")
        lines = [line for line in said.stderr.splitlines() if line.startswith(("headway: ", "kept: ", "next: "))]
        parts = [line.partition(": ")[0] for line in lines]
        sheet.right("said in three parts", "" if parts == ["headway", "kept", "next"] else str(parts))
        after = "stopped after 3 attempts without a new byte"
        sheet.right("says that it stopped after three", "" if after in lines[0] else lines[0])
        sheet.tell("kept", lines[1].removeprefix("kept: "))
        sheet.at_least("bytes that had crossed and are kept", bytes_kept(sheet.place / "root"), kept - 3 * IN_FLIGHT)
        link.up()
        said = run(cli, *command)
        sheet.right("finishes when the link is back", said.problem)
        sheet.at_most("bytes over the link / layers, in all", ratio(link, image), 1.01, "x", decimals=4)
        sheet.tell("connections before and after", f"{connections} and {link.connections - connections}")


def _unplug(link: Link, after: int) -> None:
    wait_until(lambda: link.bytes_down > after)
    link.down("refuse")


@check("typo", "A misspelt host: an error within 10 s.")
def typo(sheet: Sheet) -> None:
    """Ask a name that does not exist, a port where nobody listens, and an address that swallows packets."""
    image = images.image([{"a": b"a"}])
    with linked(image=image) as (_, link, name):
        link.down("refuse")
        swallowing = f"{link.host}/test/image"
        for title, reference in (
            ("a name that does not exist", "registry.invalid/team/app"),
            ("a name with a letter too many", "localhostt/team/app"),
            ("a port where nobody listens", name),
        ):
            _fails_soon(sheet, title, reference)
        link.up()
        link.down("drop")
        _fails_soon(sheet, "an address that swallows packets", swallowing)


def _fails_soon(sheet: Sheet, title: str, reference: str) -> None:
    said = run(Cli(sheet.place / "root"), "pull", reference)
    lines = [line for line in said.stderr.splitlines() if line.startswith("headway: ")]
    sheet.at_most(title, said.seconds, 10.0, "s", decimals=1)
    sheet.right(f"{title}: one error", "" if len(lines) == 1 and said.status in {1, 75} else said.stderr)
    sheet.tell(f"{title}: says", lines[0].replace(reference, "...").replace(reference.partition("/")[0], "HOST"))
