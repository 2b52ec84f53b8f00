"""Programs that only this comparison has."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Group
from bench.peers import Client, Headway, docker_client
from bench.processes import background, run


class HeadwayDaemon(Headway):
    """Headway's daemon, asked by the docker command; for work on containers, which that command makes."""

    remark = "For commits the docker command asks Headway's daemon, as it asks dockerd."

    @contextmanager
    def running(self, data_root: Path, scratch: Path, members: Group) -> Iterator[Client]:
        """See :meth:`bench.peers.Program.running`."""
        socket = f"unix://{scratch}/headway.sock"
        settings = scratch / "daemon.json"
        settings.write_text(self._settings)
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
