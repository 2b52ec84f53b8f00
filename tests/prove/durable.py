"""Pulls that outlive their clients, their daemon and their link; and who goes first."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.daemon import Daemon, daemon
from tests.fakes.waiting import wait_until
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.story import RateLimit
from tests.prove.scene import IN_FLIGHT, ONE, difference, linked, run, short_place
from tests.prove.sheet import Sheet, check

MB = 1_000_000
FULL = "HEADWAY_PROVE"
IS_FULL = os.environ.get(FULL) == "full"
KILLS = 200 if IS_FULL else 50
LARGE_BYTES = 2_000 * MB if IS_FULL else 80 * MB
DETACHED_BYTES = 1 << 30 if IS_FULL else 1 << 28


@check(
    "priority",
    "A 5 MB image at high priority during a large pull (HEADWAY_PROVE=full: 2 GB): done in <= 1.2 x its time alone; "
    "the large one ends at 1.00 x.",
)
def priority(sheet: Sheet) -> None:
    """Pull the small image alone, then during a detached pull, and wait for the large one's end."""
    sheet.setting(FULL)
    sheet.tell("the large image", f"{LARGE_BYTES / MB:,.0f} MB")
    small = images.image([images.noise_layer(5 * MB, seed=sheet.seed)], tag="small")
    layers = [images.noise_layer(LARGE_BYTES // 4, seed=sheet.seed + number) for number in range(1, 5)]
    large = images.image(layers, tag="large")
    rate = RateLimit((20 if IS_FULL else 2) * MB)
    with (
        short_place() as place,
        Registry([small, large]) as registry,
        Link(target=registry.address, faults=(rate,)) as link,
    ):
        repository = f"{link.host}/test/image"
        with daemon(place / "alone") as running:
            alone = run(Cli(running.data_root), "pull", f"{repository}:small")
        sheet.right("alone: completes", alone.problem)
        sheet.tell("alone: it takes", f"{alone.seconds:.2f} s")
        began = link.bytes_down
        with daemon(place / "busy") as running:
            cli = Cli(running.data_root)
            run(cli, "pull", "--detach", f"{repository}:large")
            wait_until(lambda: link.bytes_down > began + LARGE_BYTES // 4)
            busy = run(cli, "pull", "--priority", "high", f"{repository}:small")
            sheet.right("during the large pull: completes", busy.problem)
            sheet.at_most("time during the large pull / alone", busy.seconds / alone.seconds, 1.2, "x", decimals=2)
            wait_until(lambda: _states(cli) == {"large": "complete", "small": "complete"}, 600)
            crossed = link.bytes_down - began - small.size
            sheet.at_most("the large image's bytes over the link / layers", crossed / large.size, ONE, "x", decimals=4)
            sheet.right("the large image's tree as built", difference(cli, f"{repository}:large", place / "t", layers))
            sheet.right("no bug in the log", "; ".join(running.bugs))


def _states(cli: Cli) -> dict[str, str]:
    items = json.loads(cli("pulls", "-a", "--format", "json").stdout)["items"]
    return {item["Image"].rpartition(":")[2]: item["State"] for item in items}


@check(
    "detached-kills",
    f"{KILLS} random kills of client, daemon and link during one detached pull (HEADWAY_PROVE=full: 200, 1 GiB): it "
    "completes by itself, <= 1.00 x + kills x open connections x 256 KiB.",
)
def detached_kills(sheet: Sheet) -> None:
    """Kill whatever is there, by the seed, until all kills are used up; then wait."""
    sheet.setting(FULL)
    layers = [images.noise_layer(DETACHED_BYTES // 4, seed=sheet.seed + number) for number in range(4)]
    image = images.image(layers)
    # So slow that the kills are over before the pull is, however long a restart takes.
    with short_place() as place, linked(RateLimit(DETACHED_BYTES // (2 * KILLS)), image=image) as (_, link, name):
        with closing(_Story(place, link, name, random.Random(sheet.seed))) as story:
            story.begin()
            story.run(KILLS)
            sheet.right("the kills are over before it is complete", "it was" * story.is_complete())
            link.faults = (RateLimit(40 * MB),)
            wait_until(story.is_complete, 900)
        sheet.tell("killed", ", ".join(f"{what} {count} times" for what, count in sorted(story.killed.items())))
        sheet.right("completes by itself", "" if story.pull_ids == {story.pull_id} else f"{story.pull_ids}")
        limit = ONE * image.size + story.at_risk * IN_FLIGHT
        sheet.tell("bytes over the link / layers", f"{link.bytes_down / image.size:.4f} x")
        sheet.at_most("bytes over the link", link.bytes_down, limit, "bytes", decimals=0)
        sheet.right("tree as built", difference(story.cli, name, place / "tree", layers))
        sheet.right("no bug in the log", "; ".join(story.bugs))


class _Story:
    """One detached pull, and what befalls it.

    Attributes:
        cli: The command, on the store.
        pull_id: What was told when it was begun.
        killed: How often what was killed.
        at_risk: Connections that were open at the kills, together.
        bugs: What the daemons' logs say of bugs.
    """

    def __init__(self, place: Path, link: Link, name: str, source: random.Random) -> None:
        self._place = place
        self._link = link
        self._name = name
        self._source = source
        self._daemons = ExitStack()
        self._running: Daemon
        self.bugs: list[str] = []
        self.pull_id = ""
        self._start()
        self.cli = Cli(self._running.data_root)
        self.killed = dict.fromkeys(("client", "daemon", "link"), 0)
        self.at_risk = 0

    @property
    def pull_ids(self) -> set[str]:
        """The IDs of all pulls that there are."""
        return set(run(self.cli, "pulls", "-a", "-q").stdout.split())

    def begin(self) -> None:
        """Ask for the pull."""
        self.pull_id = run(self.cli, "pull", "--detach", self._name).stdout.strip()

    def _start(self) -> None:
        self._running = self._daemons.enter_context(daemon(self._place))

    def run(self, kills: int) -> None:
        """Kill so often."""
        befall: dict[str, Callable[[], None]] = {
            "client": self._kill_client,
            "daemon": self._kill_daemon,
            "link": self._kill_link,
        }
        for number in range(kills):
            what = sorted(befall)[number % 3] if number < 3 else self._source.choice(sorted(befall))
            time.sleep(self._source.uniform(0.0, 1.0))
            befall[what]()
            self.killed[what] += 1

    def _kill_client(self) -> None:
        watching = self.cli.start("pull", self._name)
        time.sleep(self._source.uniform(0.1, 1.0))
        watching.kill()
        watching.communicate()

    def _kill_daemon(self) -> None:
        self.at_risk += self._link.open_connections
        self._running.process.kill()
        self._running.process.wait()
        time.sleep(self._source.uniform(0.0, 0.5))
        self._start()

    def _kill_link(self) -> None:
        self.at_risk += self._link.open_connections
        self._link.down("refuse")
        time.sleep(self._source.uniform(0.1, 2.0))
        self._link.up()

    def is_complete(self) -> bool:
        """Whether the pull is."""
        shown: dict[str, object] = json.loads(self.cli("pulls", "show", self.pull_id).stdout or "{}")
        return shown.get("State") == "complete"

    def close(self) -> None:
        """End the daemon, and keep what its log says."""
        self.bugs = self._running.bugs
        self._daemons.close()
