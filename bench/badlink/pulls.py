"""Pulls by one program over one bad link, until its image is there or three pulls are over."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.badlink.faults import BadLink, rate
from bench.measure import Uncounted
from bench.peers import Client, Program, check_pulled
from bench.processes import BenchError
from tests.fakes.images import Image
from tests.faults.link import Link
from tests.faults.registry import Registry

PULLS = 3
STOP_SECONDS = 5.0


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

    Args:
        program: Pulls.
        bad: What goes wrong.
        image: What is pulled.
        place: An empty folder.

    Raises:
        BenchError: The program did not start.
    """
    data_root, scratch = place / "data", place / "scratch"
    for folder in (data_root, scratch):
        folder.mkdir()
    needed = image.size + len(image.blobs[image.manifest_digest]) + len(image.blobs[image.image_id])
    outcome = Outcome(program.name, bad.title, needed, best_seconds=bad.best_seconds(needed))
    with (
        Registry([image], faults=bad.script(image.layers[1])) as registry,
        Link(target=registry.address, faults=[rate(), *bad.link]) as link,
        program.running(data_root, scratch, Uncounted()) as client,
    ):
        while not outcome.is_complete and outcome.pulls < PULLS:
            _pull(client, f"{link.host}/test/image:latest", bad.limit_seconds, outcome)
            outcome.is_complete = _has(client, image.image_id)
        outcome.crossed = link.bytes_down
        offset = next((at for at, count in link.timeline if count), 0.0)
        outcome.timeline = [(max(0.0, at - offset), count) for at, count in link.timeline]
    return outcome


def _pull(client: Client, reference: str, limit_seconds: float, outcome: Outcome) -> None:
    outcome.pulls += 1
    began = time.monotonic()
    if not ends_in_time([*client.pull, reference], limit_seconds, client.environment):
        outcome.hung += 1
    outcome.seconds += time.monotonic() - began


def ends_in_time(command: Sequence[str], limit_seconds: float, environment: Mapping[str, str]) -> bool:
    """Run a command and say whether it ended by itself; nothing of it runs afterwards, whatever happened meanwhile."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | dict(environment),
        start_new_session=True,
    )
    try:
        process.wait(limit_seconds)
    except subprocess.TimeoutExpired:
        return False
    finally:
        _end(process)
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it started as Ctrl-C does, and by force where that is not heeded."""
    with suppress(ProcessLookupError):  # it has ended, and all that it started
        os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _has(client: Client, image_id: str) -> bool:
    try:
        check_pulled(client, image_id)
    except BenchError:
        return False
    return True
