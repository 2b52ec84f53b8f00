"""Two hundred kills of client and link during one pull of a gibibyte."""

from __future__ import annotations

import random
import signal
import time

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.link import Link
from tests.faults.story import RateLimit
from tests.prove.scene import IN_FLIGHT, ONE, difference, left_over, linked, run, started
from tests.prove.sheet import Sheet, check

MIB = 1024 * 1024
KILLS = 200
RATE = 18.0 * MIB
RUN_SECONDS = 0.35  # on average, from the first byte to a kill
DOWN_SECONDS = 0.3
START_SECONDS = 60.0


@check(
    "kills-200",
    "200 random kills of client and link during one pull of 1 GiB: <= 1.00 x + kills x open connections x 256 KiB, and "
    "every byte right.",
)
def kills_200(sheet: Sheet) -> None:
    """Kill the client three times in four, and the link else, whatever is going on."""
    layers: list[images.Files] = [{"noise": images.noise(64 * MIB, seed=sheet.seed) * 16}]
    image = images.image(layers, compression="none")
    sheet.tell("image", f"{image.size:,} bytes in one layer, over {RATE / MIB:.0f} MiB/s")
    source = random.Random(sheet.seed)
    cli = Cli(sheet.place / "root")
    with linked(RateLimit(RATE), image=image) as (_, link, name):
        kills = Kills(source, cli, link, name)
        while kills.count < KILLS:
            kills.let_one_live()
        sheet.tell("kills", f"{kills.of_clients} of clients, {kills.of_the_link} of the link")
        sheet.tell("bytes over the link before the last pull / layers", f"{link.bytes_down / image.size:.3f} x")
        sheet.at_most("pulls that were whole before that", kills.completed, 0, decimals=0)
        said = run(cli, "pull", name)
        sheet.right("the last pull completes", said.problem)
        allowed = ONE * image.size + kills.open_connections * IN_FLIGHT
        sheet.at_most("bytes over the link", link.bytes_down, allowed, "bytes", decimals=0)
        sheet.tell("bytes over the link / layers", f"{link.bytes_down / image.size:.4f} x")
        sheet.right("tree as built", difference(cli, name, sheet.place / "tree", layers))
        sheet.right("nothing left over", left_over(sheet.place / "root"))


class Kills:
    """What is killed, and how often.

    Args:
        source: Of everything random.
        cli: Pulls.
        link: Is killed too.
        name: Of the image.

    Attributes:
        of_clients: How many clients were killed.
        of_the_link: How often the link was.
        open_connections: How many connections were open at each kill, all together.
        completed: How many pulls came to their end.
    """

    def __init__(self, source: random.Random, cli: Cli, link: Link, name: str) -> None:
        self._source = source
        self._cli = cli
        self._link = link
        self._name = name
        self.of_clients = self.of_the_link = self.open_connections = self.completed = 0

    @property
    def count(self) -> int:
        """How many kills there were."""
        return self.of_clients + self.of_the_link

    def let_one_live(self) -> None:
        """Start a client, kill the link as long as chance has it so, and the client at last."""
        with started(self._cli, "pull", "--progress", "none", self._name) as process:
            before = self._link.bytes_down
            deadline = time.monotonic() + START_SECONDS
            while process.poll() is None and self._link.bytes_down < before + 100_000 and time.monotonic() < deadline:
                time.sleep(0.005)
            while True:
                time.sleep(self._source.expovariate(1 / RUN_SECONDS))
                self.open_connections += self._link.open_connections
                if self._source.random() < 0.75:
                    break
                self.of_the_link += 1
                self._link.down("reset")
                time.sleep(self._source.uniform(0, DOWN_SECONDS))
                self._link.up()
            process.kill()
            process.communicate()
        self.of_clients += process.returncode == -signal.SIGKILL
        self.completed += process.returncode == 0
