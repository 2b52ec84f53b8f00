"""A data root whose power is cut: what was done to it on a recorded disk, and a look at what each cut left.

Rule: what a command has told is promised. What may be lost is what arrived in the last seconds before a cut, and what
no command has said yes to.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import sqlite3
import stat
import subprocess
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from headway.composition.reading import reading
from headway.errors import HeadwayError
from headway.oci.digest import Digest
from headway.records import ImageRecord
from headway.service.stores import Records
from headway.service.transfers.progress import LayerProgress, Phase
from headway.settings import Settings
from tests.fakes.cli import Cli
from tests.fakes.images import MTIME, File, Files, Image
from tests.faults.disk import Disk, mounted, write_blocks
from tests.faults.pull import Outcome, litter, pull

BOUND_SECONDS = 6.5
"""How old what is lost may be: synced every 5 seconds, looked at every quarter, and the sync takes its time."""

_PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Known:
    """An image of the story.

    Attributes:
        name: What it is pulled by.
        image: What the registry has.
        layers: What is in its layers, bottom first.
    """

    name: str
    image: Image
    layers: Sequence[Files]


@dataclass(frozen=True, slots=True)
class _Told:
    """What a pull told of one layer."""

    seconds: float
    held: int
    is_whole: bool


@dataclass(slots=True)
class Story:
    """What was done on one data root, and what was told and when (`time.monotonic`).

    Attributes:
        cli: The command on that data root.
        images: Those it is about.
    """

    cli: Cli
    images: Sequence[Known]
    _states: dict[str, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))
    _layers: dict[str, list[_Told]] = field(default_factory=lambda: defaultdict(list))

    def pull(self, known: Known) -> None:
        """Pull an image with the real command, and take down what it tells."""
        with self._during(known, "coming", "here", "pull", "--progress", "json", known.name) as process:
            assert process.stderr is not None
            for line in process.stderr:
                event = msgspec.json.decode(line) if line.startswith("{") else {}
                if event.get("type") == "LayerProgress":
                    whole = event["phase"] in ("done", "already here")
                    self._layers[event["digest"]].append(_Told(time.monotonic(), event["held"], whole))

    def remove(self, known: Known) -> None:
        """Remove an image with the real command."""
        with self._during(known, "going", "gone", "rmi", known.name):
            pass

    @contextmanager
    def _during(self, known: Known, meanwhile: str, then: str, *words: str) -> Iterator[subprocess.Popen[str]]:
        self._states[known.name].append((time.monotonic(), meanwhile))
        with self.cli.start(*words) as process:
            yield process
            said = process.communicate()[1]
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(words)} ends with {process.returncode}: {said}")
        self._states[known.name].append((time.monotonic(), then))

    def state(self, known: Known, seconds: float) -> tuple[float, str]:
        """Return since when an image was ``here`` or ``gone``, which is promised, or ``coming`` or ``going``."""
        before = [(when, state) for when, state in self._states[known.name] if when < seconds]
        return before[-1] if before else (-math.inf, "gone")

    def told(self, digest: str, begin: float, end: float) -> list[_Told]:
        """Return what was told of a layer between two moments."""
        return [told for told in self._layers[digest] if begin <= told.seconds < end]


@contextmanager
def writeback(root: Path, seed: int) -> Iterator[None]:
    """Let the kernel write files to the disk now and then, in no order: as when memory runs short."""
    source, ended = random.Random(seed), threading.Event()

    def run() -> None:
        while not ended.wait(_PAUSE_SECONDS):
            with suppress(OSError):
                files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
                descriptor = os.open(source.choice(files or [root]), os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # begins to write what is dirty
                os.close(descriptor)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


# --- a look at what is left ---


@dataclass(slots=True)
class Look:
    """What was found after one cut.

    Attributes:
        problems: What must not be; nothing where all is right.
        listed: How many images were there.
        lost_bytes: Bytes that had been told to be held, and were fetched again.
        lost_seconds: How long before the cut the oldest of them had been told.
    """

    problems: list[str] = field(default_factory=list)
    listed: int = 0
    lost_bytes: int = 0
    lost_seconds: float = 0.0


def looks(disk: Disk, size: int, positions: Sequence[int], story: Story, place: Path, seed: int) -> Iterator[Look]:
    """Cut the power at each position, mount what is left, look at it, and let the pulls go on there."""
    for position, blocks in disk.after_cuts(positions, random.Random(seed)):
        write_blocks(blocks, place / "cut", size)
        with mounted(place / "cut", place / "after"):
            yield _look(place / "after" / "root", story, disk.seconds(position))


def _look(root: Path, story: Story, seconds: float) -> Look:
    look = Look()
    look.problems += _database_problems(root / "headway.db")
    look.listed = _check_images(root, story, seconds, look)
    # The image that was coming goes first: what it kept is counted.
    for known in sorted(story.images, key=lambda known: story.state(known, seconds)[1] != "coming"):
        outcome = pull(known.name, root, boot_id=str(uuid.uuid4()))
        if outcome.done is None:
            look.problems.append(f"{known.name} cannot be pulled again: {outcome.said}")
        look.problems += [f"at start: {told}" for told in outcome.told]
        since, state = story.state(known, seconds)
        if state == "coming":
            _weigh(look, story, known, outcome, since, seconds)
    _check_images(root, story, math.inf, look)
    look.problems += [f"left over: {name}" for name in litter(root)]
    return look


def _database_problems(path: Path) -> list[str]:
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True)
    try:
        (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        answer = str(error)
    finally:
        connection.close()
    return [] if answer == "ok" else [f"the database: {answer}"]


def _check_images(root: Path, story: Story, seconds: float, look: Look) -> int:
    """Look at every image that is listed, and for those that must be; at the end of time, all must."""
    try:
        with reading(Settings(data_root=root)) as records:
            listed = {str(record.image_id): record for record in records.images.list()}
            for known in story.images:
                state = "here" if seconds == math.inf else story.state(known, seconds)[1]
                record = listed.get(known.image.image_id)
                if record is not None and state == "gone":
                    look.problems.append(f"{known.name} is back")
                if record is None and state == "here":
                    look.problems.append(f"{known.name} is lost")
                if record is not None:
                    look.problems += [f"{known.name}: {each}" for each in image_problems(records, record, known)]
            return len(listed)
    except HeadwayError as error:
        look.problems.append(f"the store cannot be read: {error}")
        return 0


def image_problems(records: Records, record: ImageRecord, known: Known) -> Iterator[str]:
    """Yield how a listed image differs from what was built: its documents, and every file of every layer."""
    needed = {record.image_id, Digest(known.image.manifest_digest), record.manifest} - {None}
    for digest in needed:
        try:
            if digest is not None and records.blobs.read(digest) != known.image.blobs[str(digest)]:
                yield f"{digest} is another document"
        except HeadwayError as error:
            yield str(error)
    trees = records.layers.trees(record.chain_id)
    if len(trees) != len(known.layers):
        yield f"{len(trees)} layers instead of {len(known.layers)}"
    for tree, layer in zip(trees, known.layers, strict=False):
        expected, found = _as_built(layer), _as_found(tree.path)
        wrong = sorted(path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path))
        if wrong:
            yield f"{len(wrong)} files of {tree.path.name} are wrong: {wrong[0]}"


def _as_built(layer: Files) -> dict[str, tuple[int, float, str]]:
    """Return mode, time and digest of each file of a layer."""
    entries = {name: entry if isinstance(entry, File) else File(entry) for name, entry in layer.items()}
    return {name: (entry.mode, MTIME, hashlib.sha256(entry.content).hexdigest()) for name, entry in entries.items()}


def _as_found(tree: Path) -> dict[str, tuple[int, float, str]]:
    found = {}
    for directory, _, names in os.walk(tree):
        for path in (Path(directory, name) for name in names):
            status = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            mode = stat.S_IMODE(status.st_mode)
            found[str(path.relative_to(tree))] = (mode, status.st_mtime, hashlib.sha256(content).hexdigest())
    return found


def _weigh(look: Look, story: Story, known: Known, outcome: Outcome, since: float, seconds: float) -> None:
    """Compare what was told to be held with what the next pull found."""
    kept: dict[str, int] = defaultdict(int)
    for event in outcome.events:
        if isinstance(event, LayerProgress):
            here = event.size if event.phase is Phase.HERE else event.kept
            kept[str(event.digest)] = max(kept[str(event.digest)], here)
    for digest in known.image.layers:
        lost = [told for told in story.told(digest, since, seconds) if told.held > kept[digest]]
        if any(told.is_whole for told in lost):
            look.problems.append(f"{digest} was told to be whole, and is lost")
        if lost:
            look.lost_bytes += max(told.held for told in lost) - kept[digest]
            look.lost_seconds = max(look.lost_seconds, seconds - lost[0].seconds)
