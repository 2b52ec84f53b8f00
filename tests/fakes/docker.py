"""Docker's daemon with everything of its own, and its command. Root only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.disk import unmount_below
from bench.processes import background, succeeds

Docker = Callable[..., str]
"""Runs one command of docker's and returns what it printed."""


@contextmanager
def docker(place: Path, *more: str | Path) -> Iterator[Docker]:
    """Run dockerd with a containerd of its own, no network and all files below `place`, until the block ends.

    Args:
        place: A directory whose path is short: sockets are in it.
        more: Further arguments of dockerd.
    """
    place.mkdir(exist_ok=True)
    socket, containerd = f"unix://{place}/docker.sock", f"{place}/containerd.sock"
    environment = {**os.environ, "DOCKER_CONFIG": f"{place}/client", "DOCKER_HOST": socket}
    config = place / "containerd.toml"
    config.write_text(
        f'version = 2\nroot = "{place}/containerd"\nstate = "{place}/containerd-state"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{containerd}"\n'
    )
    (place / "daemon.json").write_text("{}")
    files = ["--config-file", f"{place}/daemon.json", "--pidfile", f"{place}/docker.pid", "--host", socket,
             "--data-root", f"{place}/docker", "--exec-root", f"{place}/exec"]  # fmt: skip
    network = ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]

    def run(*words: str | Path) -> str:
        done = subprocess.run(["docker", *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"docker {words[0]}: {done.stderr}"
        return done.stdout

    try:
        with (
            background(
                ["containerd", "--config", str(config)],
                log=place / "containerd.log",
                ready=lambda: Path(containerd).exists(),
            ),
            background(
                ["dockerd", *files, *network, "--containerd", containerd, *map(str, more)],
                log=place / "dockerd.log",
                ready=lambda: succeeds(["docker", "version"], environment=environment),
            ),
        ):
            yield run
    finally:
        unmount_below(place)  # dockerd keeps a network namespace mounted
