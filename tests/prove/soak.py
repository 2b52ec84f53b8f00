"""One daemon for an hour: everything that clients can ask, over a bad link, and nothing grows.

Rule: what is compared was measured in the same state: nobody asks, nothing is being pulled, the store is empty.
"""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from headway.composition.checking import checking
from headway.composition.measuring import measuring
from headway.settings import Settings
from tests.fakes.daemon import Daemon, daemon
from tests.fakes.disks import du
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.prove.scene import short_place
from tests.prove.sheet import Sheet, check
from tests.prove.soak_clients import Clients, Seen, catalogue

HOUR = 3600.0
ROUNDS, LONGEST_ROUND_SECONDS = 40, 15.0
THREADS = 6
KILLING, WARMING = 0.2, 0.4
"""Parts of the time: until the first the daemon is killed again and again, until the second one daemon warms up."""

GROWTH_MB, GROWTH_DESCRIPTORS, GROWTH_SOCKETS, GROWTH_THREADS, DATABASE_MB = 4.0, 2, 8, 2, 8.0
LOOKS, LOOK_SECONDS = 10, 0.3


@dataclass(frozen=True, slots=True)
class Sample:
    """What a daemon holds when it has nothing to do.

    Attributes:
        memory: Resident, in MB.
        descriptors: Open ones that are no sockets.
        sockets: Open ones; connections to a registry wait for the next exchange, as many as there were at once.
        threads: Of its own.
        files: Below its data root, the database's apart, and in the directory for temporary files.
        database: Size of the database with its journal, in MB.
    """

    memory: float
    descriptors: int
    sockets: int
    threads: int
    files: int
    database: float


@check(
    "soak",
    "An hour of pulls, pushes, deletes, prunes, kills and reloads over a bad link: no growth of memory, files, "
    "descriptors or threads; every full check clean; df is du; nothing left behind.",
    needs_root=True,
)
def soak(sheet: Sheet) -> None:
    """Let clients loose round after round; SOAK_SECONDS is another duration than the hour."""
    seconds = float(sheet.setting("SOAK_SECONDS") or HOUR)
    sheet.tell("seconds", f"{seconds:,.0f}")
    with (
        short_place() as place,
        Registry(catalogue(sheet.seed)) as registry,
        Link(target=registry.address) as link,
    ):
        story = Soak(place, link, sheet.seed)
        try:
            samples = story.run(seconds)
        finally:
            story.end()
    seen = story.seen
    for what, count in sorted(seen.done.items()):
        sheet.tell(f"how often: {what}", f"{count:,}")
    sheet.tell("how often: the daemon is killed", story.kills)
    sheet.tell("crossed the link", f"{link.bytes_down / 1e6:,.0f} MB, in {link.connections:,} connections")
    sheet.right("nothing went wrong", "; ".join(seen.problems[:3]))
    sheet.right("no bug in the log", "; ".join(story.bugs[:3]))
    _compare(sheet, samples)


def _compare(sheet: Sheet, samples: Sequence[Sample]) -> None:
    """Hold the last third of the samples against the first third."""
    sheet.at_least("samples", len(samples), 6)
    third = max(1, len(samples) // 3)

    def growth(name: str, of: Callable[[Sample], float], limit: float, unit: str = "") -> None:
        first, last = (statistics.median(map(of, part)) for part in (samples[:third], samples[-third:]))
        sheet.tell(f"{name}, at first and at last", f"{first:,.1f} and {last:,.1f} {unit}".strip())
        sheet.at_most(f"  {name}: growth", last - first, limit, unit, decimals=1)

    growth("memory", lambda each: each.memory, GROWTH_MB, "MB")
    growth("descriptors", lambda each: each.descriptors, GROWTH_DESCRIPTORS)
    growth("sockets", lambda each: each.sockets, GROWTH_SOCKETS)
    growth("threads", lambda each: each.threads, GROWTH_THREADS)
    growth("files beside the database", lambda each: each.files, 0)
    sheet.at_most("the database, at most", max(each.database for each in samples), DATABASE_MB, "MB", decimals=2)


class Soak:
    """Rounds of clients, each followed by a look at what they left.

    Attributes:
        seen: What happened.
        kills: How often the daemon was killed.
        bugs: What its log says of bugs.
    """

    def __init__(self, place: Path, link: Link, seed: int) -> None:
        self._place = place
        self._source = random.Random(seed)
        self._temporary = place / "tmp"
        self._temporary.mkdir()
        self.seen = Seen()
        self.kills = 0
        self.bugs: list[str] = []
        self._clients = Clients(link, self._temporary, self.seen)
        self._daemons = ExitStack()
        self._running: Daemon
        self._start()

    def _start(self) -> None:
        environment = {"TMPDIR": str(self._temporary)}
        self._running = self._daemons.enter_context(daemon(self._place, environment=environment))
        self._clients.attend(self._running)

    def run(self, seconds: float) -> list[Sample]:
        """Go on for so long; return what was seen of the daemon that lived longest, warmed up."""
        began = time.monotonic()
        length = min(LONGEST_ROUND_SECONDS, seconds / ROUNDS)
        samples = []
        while (part := (time.monotonic() - began) / seconds) < 1:
            self._round(length, is_killing=part < KILLING)
            self._look()
            self._clients.empty()
            sample = self._sample()
            print(f"    {sample}", flush=True)
            if part >= WARMING:
                samples.append(sample)
        return samples

    def _round(self, seconds: float, *, is_killing: bool) -> None:
        self._clients.is_killing = is_killing
        end = time.monotonic() + seconds
        threads = [
            threading.Thread(
                target=self._clients.ask_until, args=(end, random.Random(self._source.random())), daemon=True
            )
            for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        while is_killing and time.monotonic() < end:
            time.sleep(self._source.uniform(1.0, 5.0))
            self._kill()
        time.sleep(max(0.0, end - time.monotonic()))
        self._clients.settle()  # who waits for a pull that is paused would not come to an end
        for thread in threads:
            thread.join()
        self._clients.is_killing = False
        self._clients.settle()

    def _kill(self) -> None:
        self._running.process.kill()
        self._daemons.close()
        self.kills += 1
        self._start()

    def _look(self) -> None:
        """Read every byte of the store, and hold df against du, while nobody changes it."""
        settings = Settings(data_root=self._running.data_root)
        with checking(settings) as checker:
            damage = checker.check(full=True).damage
        self.seen.problems += [f"check: {each.kind} {each.name}: {each.faults}" for each in damage]
        with measuring(settings) as (_, disk):
            measured, real = disk.measure().total, du(settings.data_root)
        if abs(measured / real - 1) > 0.01:
            self.seen.problems.append(f"df says {measured:,} and du {real:,}")

    def _sample(self) -> Sample:
        """Return what the daemon holds once it has let go what it keeps for a moment."""
        process = Path(f"/proc/{self._running.process.pid}")
        looks = [self._descriptors(process / "fd") for _ in range(LOOKS)]
        names = [path for root in (self._running.data_root, self._temporary) for path in root.rglob("*")]
        database = [path for path in names if path.name.startswith("headway.db")]
        return Sample(
            memory=self._running.resident / 1e6,
            descriptors=min(others for others, _ in looks),
            sockets=min(sockets for _, sockets in looks),
            threads=len(list((process / "task").iterdir())),
            files=len(names) - len(database),
            database=sum(path.stat().st_size for path in database) / 1e6,
        )

    @staticmethod
    def _descriptors(directory: Path) -> tuple[int, int]:
        """Return how many are no sockets, and how many are."""
        time.sleep(LOOK_SECONDS)
        targets = []
        for name in os.listdir(directory):
            with suppress(FileNotFoundError):  # closed meanwhile
                targets.append(os.readlink(directory / name))
        sockets = sum(target.startswith("socket:") for target in targets)
        return len(targets) - sockets, sockets

    def end(self) -> None:
        """End the daemon, and keep what its log says."""
        self.bugs = self._running.bugs
        self._daemons.close()
