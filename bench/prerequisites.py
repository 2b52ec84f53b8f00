"""The peers and tools a benchmark needs, from Debian.

Rule: what is installed is said before it is installed, and nothing that comes with it is started.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import BenchError, run

# Program to look for, and the Debian package that has it.
PACKAGES = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "containerd": "containerd",
    "docker-registry": "docker-registry",
    "skopeo": "skopeo",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "mkfs.ext4": "e2fsprogs",
    "unpigz": "pigz",  # dockerd and containerd use it when it is there: their better set-up
}
# Programs that only some images are built with, or only some comparisons have.
BUILDERS = {"npm": "npm", "podman": "podman", "umoci": "umoci"}
POLICY = Path("/usr/sbin/policy-rc.d")
NOTHING_STARTS = "#!/bin/sh\n# While Headway's benchmark installs what it needs.\nexit 101\n"


def ensure(builders: Iterable[str] = ()) -> None:
    """Install what is missing.

    Args:
        builders: Programs of `BUILDERS` that are needed as well.

    Raises:
        BenchError: Not root, no apt here, or apt failed.
    """
    if os.geteuid() != 0:
        raise BenchError("the benchmark mounts file systems and runs daemons: run it as root")
    # Not every root shell has them, and the peers start programs that live there.
    os.environ["PATH"] += os.pathsep + "/usr/sbin:/sbin"
    builders = list(builders)
    if packages := missing(builders):
        print(f"installing from Debian: {' '.join(packages)}", file=sys.stderr)
        if shutil.which("apt-get") is None:
            raise BenchError(f"no apt-get here; install what has these programs: {' '.join(packages)}")
        _install(packages)
        if still := missing(builders):
            raise BenchError(f"installed, and yet not there: {' '.join(still)}")


def missing(builders: Iterable[str] = ()) -> list[str]:
    """Return the packages whose programs are not on the path, each once."""
    wanted = PACKAGES | {program: BUILDERS[program] for program in builders}
    return sorted({package for program, package in wanted.items() if shutil.which(program) is None})


def _install(packages: list[str]) -> None:
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with no_service_starts(POLICY):
        run(["apt-get", "update", "-q"], environment=environment)
        run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages], environment=environment)


@contextmanager
def no_service_starts(policy: Path) -> Iterator[None]:
    """Answer "not allowed" (101) to each package that asks whether it may start its service.

    A policy that the machine has is left to decide; one that a killed run of ours left is not the machine's.
    """
    if policy.exists() and policy.read_text() != NOTHING_STARTS:
        yield
        return
    policy.write_text(NOTHING_STARTS)
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
