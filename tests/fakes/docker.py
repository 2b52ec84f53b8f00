"""Docker's daemon with everything of its own, and its command. Root only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Uncounted
from bench.peers import Dockerd

Docker = Callable[..., str]
"""Runs one command of docker's and returns what it printed."""


@contextmanager
def docker(place: Path) -> Iterator[Docker]:
    """Run dockerd as the benchmarks do, on ``place/docker.sock`` and ``place/docker``, until the block ends.

    Args:
        place: A directory whose path is short: sockets are in it.
    """
    place.mkdir(exist_ok=True)
    with Dockerd().running(place / "docker", place, Uncounted()) as client:
        environment = os.environ | dict(client.environment)

        def run(*words: str | Path) -> str:
            command = [*client.command, *words]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"docker {words[0]}: {done.stderr}"
            return done.stdout

        yield run
