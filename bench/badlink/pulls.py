"""Pulls by one program over one bad link, until its image is there or three pulls are over."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.badlink.faults import BadLink, rate
from bench.measure import Group
from bench.peers import Client, Program
from bench.processes import BenchError
from tests.fakes.images import Image
from tests.faults.link import Link
from tests.faults.registry import Registry

PULLS = 3
STOP_SECONDS = 5.0


class Uncounted(Group):
    """A group for programs whose CPU nobody counts here."""

    def __init__(self) -> None:
        super().__init__(Path("/"))

    def enter(self, command: Sequence[str]) -> list[str]:
        """Return the command as it is."""
        return list(command)


@dataclass(slots=True)
class Outcome:
    """What pulls by one program came to.

    Attributes:
        program: Its name.
        fault: Title of the bad link.
        needed: Bytes of the image's layers, manifest and config.
        is_complete: Whether the image was there in the end.
        pulls: How many were begun.
        hung: How many were ended after the limit.
        crossed: Bytes that crossed the link to the program.
        seconds: All pulls together.
        best_seconds: What it takes at the least.
        timeline: Seconds since the start and bytes crossed until then.
    """

    program: str
    fault: str
    needed: int
    is_complete: bool = False
    pulls: int = 0
    hung: int = 0
    crossed: int = 0
    seconds: float = 0.0
    best_seconds: float = 0.0
    timeline: list[tuple[float, int]] = field(default_factory=list)


def pull_over(program: Program, bad: BadLink, image: Image, place: Path) -> Outcome:
    """Let a program pull an image over a bad link into an empty store.

    Raises:
        BenchError: The program did not start.
    """
    shutil.rmtree(place, ignore_errors=True)
    data_root, scratch = place / "data", place / "scratch"
    for folder in (data_root, scratch):
        folder.mkdir(parents=True)
    needed = image.size + len(image.blobs[image.manifest_digest]) + len(image.blobs[image.image_id])
    outcome = Outcome(program.name, bad.title, needed, best_seconds=bad.best_seconds(needed))
    try:
        with (
            Registry([image], faults=bad.script(image.layers[1])) as registry,
            Link(target=registry.address, faults=[rate(), *bad.link]) as link,
            program.running(data_root, scratch, Uncounted()) as client,
        ):
            began = time.monotonic()
            while not outcome.is_complete and outcome.pulls < PULLS:
                _pull(client, f"{link.host}/test/image:latest", bad.limit_seconds, outcome)
                outcome.is_complete = _has(client, image.image_id)
            outcome.crossed = link.bytes_down
            offset = next((at for at, count in link.timeline if count), 0.0)
            outcome.timeline = [(max(0.0, at - offset), count) for at, count in link.timeline]
            outcome.seconds = min(outcome.seconds, time.monotonic() - began)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return outcome


def _pull(client: Client, reference: str, limit_seconds: float, outcome: Outcome) -> None:
    outcome.pulls += 1
    began = time.monotonic()
    with subprocess.Popen(
        [*client.pull, reference],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | dict(client.environment),
        start_new_session=True,
    ) as process:
        try:
            process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            outcome.hung += 1
            _end(process)
    outcome.seconds += time.monotonic() - began


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command as Ctrl-C does, and by force where it does not heed that."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def _has(client: Client, image_id: str) -> bool:
    expected = image_id.removeprefix("sha256:")
    try:
        return any(len(held) >= 12 and expected.startswith(held) for held in client.image_ids())
    except BenchError:
        return False
