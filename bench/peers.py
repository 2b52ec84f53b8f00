"""The programs that are compared, each started in its own way and then asked for the same pull.

Rule: a program is used as its makers ship it. What keeps it off the machine (its own data root, socket
and state; no bridge, no firewall rules) is set; what would make it faster or slower is not.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.disk import unmount_below
from bench.measure import Group
from bench.processes import BenchError, background, run, succeeds
from bench.samples import OURS


@dataclass(frozen=True, slots=True)
class Client:
    """The commands that act on one fresh store.

    Args:
        pull: Followed by a reference, it pulls and returns when the image is there.
        images: Prints the ID of each image in the store, one a line.
        environment: Variables that all need.
        command: What the program's other commands begin with; empty where no comparison has any.
    """

    pull: Sequence[str]
    images: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = ()

    def is_answered(self) -> bool:
        """Tell whether a daemon answers the program's ``version``."""
        return succeeds([*self.command, "version"], environment=self.environment)

    def image_ids(self) -> set[str]:
        """Return the IDs in the store, without the algorithm's name.

        Raises:
            BenchError: The command failed.
        """
        printed = run(self.images, environment=self.environment)
        return {line.strip().removeprefix("sha256:") for line in printed.splitlines() if line.strip()}


class Program(Protocol):
    """One of the programs that are compared."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def remark(self) -> str:
        """What a reader must know of how it is run, as one sentence."""

    def version(self) -> str:
        """Return its name and version as one line.

        Raises:
            BenchError: It is not there or does not say.
        """

    def running(self, data_root: Path, scratch: Path, members: Group) -> AbstractContextManager[Client]:
        """Keep it ready to pull inside the block.

        Args:
            data_root: Empty folder on the measured disk for its store.
            scratch: Empty folder elsewhere for sockets, logs and the like.
            members: Group that every process of the program has to join.

        Raises:
            BenchError: It did not start.
        """


class Headway:
    """This project's command, which needs no daemon for a pull.

    Args:
        name: What it is called in tables.
        settings: What its configuration file says.
    """

    remark = "headway pulls without its daemon and has the image on disk before it says so."

    def __init__(self, name: str = OURS, settings: Mapping[str, object] | None = None) -> None:
        self.name = name
        self._settings = json.dumps(settings or {})
        self._command = str(Path(sys.executable).with_name("headway"))

    def version(self) -> str:
        """See :meth:`Program.version`."""
        return run([self._command, "version"]).strip()

    @contextmanager
    def running(self, data_root: Path, scratch: Path, members: Group) -> Iterator[Client]:
        """See :meth:`Program.running`."""
        settings = scratch / "daemon.json"
        settings.write_text(self._settings)
        headway = [self._command, "--data-root", str(data_root), "--config-file", str(settings)]
        yield Client(
            pull=[*headway, "pull", "--quiet"],
            images=[*headway, "images", "--quiet", "--no-trunc"],
            command=headway,
        )


class Dockerd:
    """Docker's daemon with a containerd of its own, and its client."""

    name = "dockerd"
    remark = (
        "dockerd runs before the clock starts; it, its containerd and its client count in CPU and memory. "
        "It is measured as it is: 20.10 syncs its records and not the layers' files before it says done; "
        "wall + sync counts those too."
    )

    def version(self) -> str:
        """See :meth:`Program.version`."""
        return run(["dockerd", "--version"]).strip()

    @contextmanager
    def running(self, data_root: Path, scratch: Path, members: Group) -> Iterator[Client]:
        """See :meth:`Program.running`."""
        socket = f"unix://{scratch}/docker.sock"
        (scratch / "daemon.json").write_text("{}")
        isolation = ["--config-file", f"{scratch}/daemon.json", "--pidfile", f"{scratch}/docker.pid"]
        folders = ["--data-root", str(data_root), "--exec-root", f"{scratch}/exec", "--host", socket]
        network = ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
        client = docker_client(socket, scratch)
        with containerd(scratch, members, root=scratch / "containerd") as address:
            try:
                with background(
                    members.enter(["dockerd", *isolation, *folders, *network, "--containerd", address]),
                    log=scratch / "dockerd.log",
                    ready=client.is_answered,
                ):
                    yield client
            finally:
                # dockerd keeps a network namespace mounted in its exec root.
                unmount_below(scratch)


def docker_client(socket: str, scratch: Path) -> Client:
    """Return the docker command at a daemon; what it keeps lies in ``scratch``."""
    docker = ["docker", "--host", socket]
    return Client(
        pull=[*docker, "pull", "--quiet"],
        images=[*docker, "images", "--quiet", "--no-trunc"],
        environment={"DOCKER_CONFIG": f"{scratch}/client"},
        command=docker,
    )


@contextmanager
def containerd(scratch: Path, members: Group, *, root: Path) -> Iterator[str]:
    """Run a containerd with its state in ``scratch`` and its content in ``root``; give the address of its socket.

    Left to itself, dockerd joins a containerd that the machine runs already, whose cost would be nobody's.
    """
    address, config = f"{scratch}/containerd.sock", scratch / "containerd.toml"
    config.write_text(
        f'version = 2\nroot = "{root}"\nstate = "{scratch}/containerd-state"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{address}"\n'
    )
    with background(
        members.enter(["containerd", "--config", str(config)]),
        log=scratch / "containerd.log",
        ready=lambda: Path(address).exists(),
    ):
        yield address


def check_pulled(client: Client, image_id: str) -> None:
    """Make sure that the store holds the image, so that a failed pull cannot count as a fast one.

    Raises:
        BenchError: It does not.
    """
    expected = image_id.removeprefix("sha256:")
    if not any(len(held) >= 12 and expected.startswith(held) for held in client.image_ids()):
        raise BenchError(f"after the pull {' '.join(client.images)} does not list {image_id}")
