"""SIGKILL at every stage of a pull."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.link import Link
from tests.faults.story import RateLimit
from tests.prove.scene import IN_FLIGHT, ONE, difference, left_over, linked, run, started, unlisted
from tests.prove.sheet import Sheet, check

MB = 1_000_000
KILLS = 20
CONNECTIONS = 3
RATE = 8 * MB

Watch = Callable[[dict[str, object], Path], bool]


def _is(phase: str, share: float = 0.0) -> Watch:
    """Return whether a layer is told to be in a phase, with a share of its bytes held."""

    def told(event: dict[str, object], _: Path) -> bool:
        held, size = event.get("held", 0), event.get("size", 0)
        assert isinstance(held, int)
        assert isinstance(size, int)
        return event.get("phase") == phase and held >= share * size

    return told


def _trees(count: int) -> Watch:
    return lambda _, root: sum(1 for _ in (root / "trees").glob("sha256-*")) >= count


MOMENTS: Sequence[tuple[str, Watch]] = (
    ("the config is here", lambda event, _: event["type"] == "PullStarted"),
    ("the first bytes arrive", lambda _, root: any((root / "ingest").glob("*/journal"))),
    ("half of a layer is here", _is("downloading", 0.5)),
    ("a tree is being built", lambda _, root: any((root / "tmp").glob("*/*"))),
    ("a layer is whole, being verified or unpacked", _is("unpacking")),
    ("a layer's tree was just renamed", _trees(1)),
    ("a layer is committed", _is("done")),
    ("the second tree was just renamed", _trees(2)),
    ("the last tree was just renamed", _trees(4)),
)


@check(
    "kills",
    "SIGKILL at 20 random moments of one pull (download, verify, unpack, commit), then a last pull: bytes <= 1.00 x + "
    "kills x open connections x 256 KiB; every listed image whole; no stray files after start-up; the tree equal.",
)
def kills(sheet: Sheet) -> None:
    """Kill by the clock, by the seed, and then by name: at each stage as it is seen."""
    layers = _layers(sheet.seed)
    image = images.image(layers)
    sheet.tell("image", f"{image.size:,} bytes in {len(layers)} layers, {sum(map(len, layers)):,} files")
    with linked(RateLimit(RATE), image=image) as (_, link, name):
        undisturbed = run(Cli(sheet.place / "undisturbed"), "pull", "--progress", "none", name)
        sheet.right("an undisturbed pull completes", undisturbed.problem)
        sheet.tell("it takes", f"{undisturbed.seconds:.1f} s")
        by_clock = Story(sheet, "by the clock", link, name, image, layers)
        source = random.Random(sheet.seed)
        for _ in range(KILLS):
            # Short runs hit the download, long ones what comes behind it; a pull that gets through is begun anew.
            moment = source.expovariate(2 / undisturbed.seconds)
            by_clock.kill_after(min(moment, 0.9 * undisturbed.seconds))
        by_clock.end(at_least=KILLS)
        by_name = Story(sheet, "by name", link, name, image, layers)
        for title, watch in MOMENTS:
            by_name.kill_when(title, watch)
        by_name.end(at_least=len(MOMENTS))


def _layers(seed: int) -> list[images.Files]:
    """Return four layers that take work to unpack: thousands of files that compress, and some that do not."""
    made: list[images.Files] = []
    for layer in range(4):
        source = random.Random(seed + layer)
        words = [source.randbytes(6).hex().encode() for _ in range(400)]
        files: dict[str, bytes | images.File] = {}
        for number in range(1_500):
            text = b" ".join(source.choices(words, k=source.randrange(50, 900)))
            files[f"usr/lib/l{layer}/{number % 40}/{number}.txt"] = text
        files[f"opt/noise-{layer}"] = images.noise((3 + layer) * MB, seed=seed + layer)
        made.append(files)
    return made


class Story:
    """One pull that is killed again and again, and then let finish.

    Args:
        sheet: Takes down what is found.
        title: In front of each figure's name.
        link: Counts bytes.
        name: The image.
        image: Its blobs.
        layers: Its files.
    """

    def __init__(
        self, sheet: Sheet, title: str, link: Link, name: str, image: images.Image, layers: list[images.Files]
    ) -> None:
        self._sheet = sheet
        self._title = title
        self._link = link
        self._name = name
        self._image = image
        self._layers = layers
        self._rounds = 0
        self._kills = 0
        self._stages: list[str] = []
        self._lies: list[str] = []
        self._begin()

    def _begin(self) -> None:
        """Start on an empty data root: the pull before this one got through between two kills."""
        self._rounds += 1
        self.root = self._sheet.place / f"{self._title.replace(' ', '-')}-{self._rounds}"
        self.cli = Cli(self.root)
        self._before = self._link.bytes_down
        self._kills_before = self._kills

    def kill_after(self, seconds: float) -> None:
        """Let the pull run on for some time from when it begins to work, and kill it."""
        while not self._killed(lambda process, alive: _sleep_from_start(process, seconds, alive)):
            self._finish_round()
        self._stages.append(self._stage())
        self._look()

    def kill_when(self, title: str, watch: Watch) -> None:
        """Kill the pull when it is seen to be somewhere."""
        if not self._killed(lambda process, alive: _watch(process, self.root, watch, alive)):
            self._finish_round()
            self._killed(lambda process, alive: _watch(process, self.root, watch, alive))
        self._sheet.tell(f"{self._title}: killed when {title}", self._stage())
        self._look()

    def _killed(self, until: Callable[[subprocess.Popen[str], Callable[[], bool]], None]) -> bool:
        """Start the pull and let `until` kill it; tell whether it was still there to be killed."""
        with started(self.cli, "pull", "--progress", "json", self._name) as process:
            until(process, lambda: process.poll() is None)
            process.wait()
        hit = process.returncode == -signal.SIGKILL
        self._kills += hit
        return hit

    def _stage(self) -> str:
        """Say how far the killed pull was, by what lies there."""
        if not (self.root / "ingest").is_dir():
            return "start"
        trees = sum(1 for _ in (self.root / "trees").iterdir())
        held = sum(path.stat().st_size for path in self.root.glob("ingest/*/data"))
        return f"{trees} trees, {held / MB:.1f} MB unfinished, {sum(1 for _ in (self.root / 'tmp').iterdir())} private"

    def _look(self) -> None:
        """An image that is listed after a kill must be whole."""
        if listed := unlisted(self.cli):
            target = self._sheet.place / f"look-{self._kills}"
            problem = difference(self.cli, self._name, target, self._layers)
            if problem or listed != self._image.image_id.removeprefix("sha256:")[:12]:
                self._lies.append(problem or listed)

    def _finish_round(self) -> None:
        said = run(self.cli, "pull", "--progress", "none", self._name)
        name = f"{self._title}, pull {self._rounds}"
        crossed = self._link.bytes_down - self._before
        kills = self._kills - self._kills_before
        allowed = ONE * self._image.size + kills * CONNECTIONS * IN_FLIGHT
        self._sheet.right(f"{name}: the last pull completes", said.problem)
        self._sheet.at_most(f"{name}: bytes with {kills} kills", crossed, allowed, "bytes", decimals=0)
        self._sheet.tell(f"{name}: bytes / layers", f"{crossed / self._image.size:.4f} x")
        target = self._sheet.place / f"tree-{self.root.name}"
        self._sheet.right(f"{name}: tree as built", difference(self.cli, self._name, target, self._layers))
        self._sheet.right(f"{name}: no stray files", left_over(self.root))
        trees = {path.name for path in (self.root / "trees").iterdir()}
        strays = trees - {diff_id.replace(":", "-") for diff_id in self._image.diff_ids}
        self._sheet.right(f"{name}: no stray trees", ", ".join(sorted(_own(strays))))
        self._begin()

    def end(self, *, at_least: int) -> None:
        """Let it finish, and sum up."""
        self._finish_round()
        if self._stages:
            unfinished = sum("0.0 MB unfinished" not in stage and stage != "start" for stage in self._stages)
            trees = sum(not stage.startswith(("0 trees", "start")) for stage in self._stages)
            told = f"{unfinished} with bytes unfinished, {trees} with trees committed"
            self._sheet.tell(f"{self._title}: kills, by what lay there", told)
        self._sheet.at_least(f"{self._title}: kills that hit", self._kills, at_least)
        self._sheet.right(f"{self._title}: every image listed was whole", "; ".join(self._lies))


def _own(strays: set[str]) -> set[str]:
    """Return what is neither a layer's tree nor one derived for a chain."""
    return {name for name in strays if not name.startswith("chain-")}


def _sleep_from_start(process: subprocess.Popen[str], seconds: float, alive: Callable[[], bool]) -> None:
    """Wait until the pull tells its first word, and then for some time; kill it."""
    assert process.stderr is not None
    process.stderr.readline()
    drain = threading.Thread(target=process.stderr.read, daemon=True)
    drain.start()
    deadline = time.monotonic() + seconds
    while alive() and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    drain.join()


def _watch(process: subprocess.Popen[str], root: Path, watch: Watch, alive: Callable[[], bool]) -> None:
    """Wait until something is told, or lies on the disk; kill the pull."""
    assert process.stderr is not None
    latest: list[dict[str, object]] = [{"type": ""}]

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("{"):
                event: dict[str, object] = msgspec.json.decode(line)
                if watch(event, root):
                    process.kill()
                latest[0] = event

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    while alive() and not watch(latest[0], root):
        time.sleep(0.0005)
    process.kill()
    reader.join()
