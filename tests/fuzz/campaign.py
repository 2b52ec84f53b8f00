"""Many blobs, examined by processes of their own, so that a crash, a hang or a flood of memory ends only those.

Rule: a blob follows from the seed and its number alone; what is found can be made again by
`python -m tests.fuzz.campaign SEED NUMBER FILE`.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.progress import Progress
from tests.fuzz.wrappings import blob

CORPUS = Path(__file__).parents[1] / "golden" / "fuzz"
"""What was found once, and is tried again by the tests."""

HANG_SECONDS = 60.0
CHILD = ("-m", "tests.fuzz.child")

_POLL_SECONDS = 0.1
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Find:
    """A blob that must not do what it does."""

    number: int
    problem: str


@dataclass(slots=True)
class Outcome:
    """What a campaign saw.

    Attributes:
        executed: Blobs that were examined.
        accepted: Those that are layers.
        finds: What went wrong.
    """

    executed: int = 0
    accepted: int = 0
    finds: list[Find] = field(default_factory=list)


def made(seed: int, number: int) -> tuple[bytes, random.Random]:
    """Return one blob, and a generator for how it is to be unpacked."""
    rng = random.Random(f"{seed}:{number}")
    return blob(rng), rng


@dataclass(slots=True)
class _Child:
    """A process that examines every `step`-th blob from `first` on."""

    seed: int
    first: int
    step: int
    place: Path
    until: float
    program: Sequence[str | Path]
    process: subprocess.Popen[str] = field(init=False)
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self.place.mkdir(parents=True)
        self.progress = Progress(self.place / "progress")
        self.progress.tell(0, 0, self.first)
        numbers = map(str, (self.seed, self.first, self.step))
        seconds = str(max(0.0, self.until - time.monotonic()))
        with (self.place / "finds").open("w") as finds, (self.place / "stderr").open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", *self.program, *numbers, self.place, seconds],
                stdout=finds,
                stderr=said,
                text=True,
                cwd=_ROOT,
            )

    def ended(self) -> bool:
        """Tell whether it is over, by itself or because its blob takes too long."""
        if self.process.poll() is not None:
            return True
        if self.progress.seconds < HANG_SECONDS:
            return False
        self.process.kill()
        self.process.wait()
        return True

    def finds(self) -> list[Find]:
        """Return what it found; how it died comes last."""
        lines = (self.place / "finds").read_text().splitlines()
        found = [Find(**json.loads(line)) for line in lines if line.endswith("}")]
        if status := self.process.returncode:
            said = (self.place / "stderr").read_text()[-4000:]
            hung = self.progress.seconds >= HANG_SECONDS
            found.append(Find(self.progress.number, f"{'hangs' if hung else 'ends'} with status {status}\n{said}"))
        return found


def run(seed: int, seconds: float, place: Path, *, processes: int, program: Sequence[str | Path] = CHILD) -> Outcome:
    """Examine blobs for some time; a process that dies is followed by one that goes on behind what it died of.

    Args:
        seed: What the blobs follow from.
        seconds: For how long.
        place: A directory for the processes.
        processes: How many there are at a time.
        program: What Python runs in them, in place of `tests.fuzz.child`.
    """
    outcome = Outcome()
    until = time.monotonic() + seconds
    started = processes
    children = [_Child(seed, each, processes, place / str(each), until, program) for each in range(processes)]
    try:
        while children:
            time.sleep(_POLL_SECONDS)
            for child in [each for each in children if each.ended()]:
                children.remove(child)
                outcome.executed += child.progress.executed
                outcome.accepted += child.progress.accepted
                outcome.finds += child.finds()
                if child.process.returncode and time.monotonic() < until:
                    started += 1
                    first = child.progress.number + processes
                    children.append(_Child(seed, first, processes, place / str(started), until, program))
    finally:
        for child in children:
            child.process.kill()
            child.process.wait()
    return outcome


def save(seed: int, finds: Sequence[Find], directory: Path = CORPUS) -> None:
    """Keep the blobs that were found, for good."""
    directory.mkdir(exist_ok=True)
    for find in finds:
        (directory / f"{seed}-{find.number}").write_bytes(made(seed, find.number)[0])


def main() -> None:
    """Make one blob again."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.campaign", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("number", type=int)
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    options.file.write_bytes(made(options.seed, options.number)[0])


if __name__ == "__main__":
    main()
