"""Programs that only this comparison has."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Group
from bench.peers import Client, docker_client
from bench.processes import background, run
from bench.samples import OURS


class HeadwayDaemon:
    """Headway's daemon, asked by the docker command; for work on containers, which that command makes."""

    name = OURS
    remark = "For commits the docker command asks Headway's daemon, as it asks dockerd."

    def __init__(self) -> None:
        self._command = str(Path(sys.executable).with_name("headway"))

    def version(self) -> str:
        """See :meth:`bench.peers.Program.version`."""
        return run([self._command, "version"]).strip()

    @contextmanager
    def running(self, data_root: Path, scratch: Path, members: Group) -> Iterator[Client]:
        """See :meth:`bench.peers.Program.running`."""
        socket = f"unix://{scratch}/headway.sock"
        settings = scratch / "daemon.json"
        settings.write_text("{}")
        own = ["--data-root", str(data_root), "--config-file", str(settings)]
        client = docker_client(socket, scratch)
        with background(
            members.enter([self._command, "daemon", *own, "--host", socket]),
            log=scratch / "headway.log",
            ready=client.is_answered,
        ):
            yield client


class Umoci:
    """umoci, which unpacks from an OCI layout and has no store."""

    name = "umoci"
    remark = "umoci unpacks from an OCI layout, gzip included; headway from its store, which has the layers unpacked."

    def version(self) -> str:
        """See :meth:`bench.peers.Program.version`."""
        return run(["umoci", "--version"]).strip()

    @contextmanager
    def running(self, data_root: Path, scratch: Path, members: Group) -> Iterator[Client]:
        """See :meth:`bench.peers.Program.running`."""
        yield Client(command=["umoci"], pull=[], images=["true"])
