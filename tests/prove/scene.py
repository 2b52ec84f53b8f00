"""What the checks share: an image behind a link, the command as a child, and a look at what it left."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.cli import Cli
from tests.fakes.disks import EXT4, disk
from tests.fakes.images import Files, Image
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.story import Fault, LinkFault

PULL_SECONDS = 900.0
IN_FLIGHT = 256 * 1024
"""What may be lost with a connection: bytes that had crossed the link and were not taken yet."""

ONE = 1.0049
"""1.00 as two decimals say it: manifests, config and headers are in it."""


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended.

    Attributes:
        status: Its exit status; negative after a signal.
        stdout: What it printed.
        stderr: What it said.
        seconds: How long it took.
    """

    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def problem(self) -> str:
        """Why this is not the end of a command that did its work; empty where it is."""
        if "Traceback" in self.stderr:
            return f"a traceback: {self.stderr.splitlines()[-1]}"
        return "" if self.status == 0 else f"status {self.status}: {self.stderr.splitlines()[:1]}"


def run(cli: Cli, *words: str | Path, seconds: float = PULL_SECONDS) -> Said:
    """Run a command to its end."""
    began = time.monotonic()
    with started(cli, *words) as process:
        stdout, stderr = process.communicate(timeout=seconds)
    return Said(process.returncode, stdout, stderr, time.monotonic() - began)


@contextmanager
def started(cli: Cli, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Start a command, which does not outlive the block."""
    with cli.start(*words) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def short_place() -> Iterator[Path]:
    """Give a directory whose path is short enough for a daemon's socket."""
    with tempfile.TemporaryDirectory(prefix="hwp") as place:
        yield Path(place)


@contextmanager
def linked(*faults: LinkFault, image: Image, script: Sequence[Fault] = ()) -> Iterator[tuple[Registry, Link, str]]:
    """Give a registry with one image, a link to it, and the image's name over the link."""
    with Registry([image], faults=script) as registry, Link(target=registry.address, faults=faults) as link:
        yield registry, link, f"{link.host}/test/image"


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Do something in a thread while the block runs, and wait for its end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def ratio(link: Link, image: Image) -> float:
    """Return bytes that crossed the link, headers included, by bytes of the image's layers."""
    return link.bytes_down / image.size


def left_over(root: Path) -> str:
    """Return what lies below a data root that no image needs; nothing where all is tidy."""
    found = [f"{part}/{path.name}" for part in ("tmp", "ingest") for path in sorted((root / part).iterdir())]
    return ", ".join(found)


def difference(cli: Cli, name: str, target: Path, layers: Sequence[Files]) -> str:
    """Unpack an image and return how its files differ from what was built; nothing where they do not."""
    done = run(cli, "unpack", name, target)
    if done.problem:
        return done.problem
    expected = {
        path: hashlib.sha256(value if isinstance(value, bytes) else value.content).hexdigest()
        for layer in layers
        for path, value in layer.items()
    }
    found = {
        str(path.relative_to(target)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in target.rglob("*")
        if path.is_file()
    }
    wrong = [path for path in sorted(found.keys() | expected.keys()) if found.get(path) != expected.get(path)]
    return f"{len(wrong)} files differ, the first is {wrong[0]}" if wrong else ""


def unlisted(cli: Cli) -> str:
    """Return what `headway images` lists where nothing should be; nothing where it lists nothing."""
    said = run(cli, "images", "-q", "--all")
    return said.problem or " ".join(said.stdout.split())


@contextmanager
def small_disk(where: Path, *, megabytes: int) -> Iterator[Path]:
    """Mount an ext4 of some size, all of which anybody may fill."""
    where.mkdir()
    with disk(where, (*EXT4, "-m", "0"), megabytes=megabytes) as mounted:
        yield mounted
