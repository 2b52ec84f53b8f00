"""More programs to compare with: containerd's own client, podman and skopeo (see `bench.peers`)."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.disk import unmount_below
from bench.measure import Group
from bench.peers import Client, containerd
from bench.processes import run


class Containerd:
    """containerd, asked by ctr."""

    name = "containerd"
    remark = (
        "containerd runs before the clock starts; ctr asks it to pull and to unpack with its overlayfs snapshotter."
    )

    def version(self) -> str:
        """See :meth:`bench.peers.Program.version`."""
        return " ".join(run(["containerd", "--version"]).split()[:3:2])

    @contextmanager
    def running(self, data_root: Path, scratch: Path, members: Group) -> Iterator[Client]:
        """See :meth:`bench.peers.Program.running`."""
        try:
            with containerd(scratch, members, root=data_root) as address:
                ctr = ["ctr", "--address", address, "--namespace", "bench"]
                images = [sys.executable, "-m", "bench.image_ids", "containerd", address]
                yield Client(pull=[*ctr, "images", "pull", "--plain-http"], images=images)
        finally:
            unmount_below(scratch)


class Podman:
    """podman, which needs no daemon."""

    name = "podman"
    remark = "podman pulls into a store of its own with its overlay driver; what it downloads waits on the same disk."

    def version(self) -> str:
        """See :meth:`bench.peers.Program.version`."""
        return run(["podman", "--version"]).strip()

    @contextmanager
    def running(self, data_root: Path, scratch: Path, members: Group) -> Iterator[Client]:
        """See :meth:`bench.peers.Program.running`."""
        place = ["--root", str(data_root), "--runroot", f"{scratch}/run", "--tmpdir", f"{scratch}/tmp"]
        podman = ["podman", *place, "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs"]
        # Each blob is a file there before it is unpacked: in /var/tmp nobody would count its bytes or wait for them.
        waiting = data_root.with_name("downloads")
        waiting.mkdir()
        try:
            yield Client(
                pull=[*podman, "pull", "--quiet", "--tls-verify=false"],
                images=[*podman, "images", "--quiet", "--no-trunc"],
                environment={"TMPDIR": str(waiting)},
            )
        finally:
            unmount_below(data_root)
            unmount_below(scratch)


class Skopeo:
    """skopeo, which copies an image to a directory."""

    name = "skopeo"
    remark = "skopeo copies blobs into a directory and unpacks nothing; it may retry five times."

    def version(self) -> str:
        """See :meth:`bench.peers.Program.version`."""
        return run(["skopeo", "--version"]).strip()

    @contextmanager
    def running(self, data_root: Path, scratch: Path, members: Group) -> Iterator[Client]:
        """See :meth:`bench.peers.Program.running`."""
        data_root.mkdir(exist_ok=True)
        copied = data_root / "image"
        options = "--quiet --retry-times 5 --src-tls-verify=false"
        script = f'exec skopeo --insecure-policy copy {options} "docker://$0" dir:{copied}'
        images = [sys.executable, "-m", "bench.image_ids", "directory", str(copied)]
        yield Client(pull=["/bin/sh", "-c", script], images=images)
