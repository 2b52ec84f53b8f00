"""Headway on a machine of another kind: 32 bits, and nothing that comes built for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.disk import unmount_below
from tests.fakes.umoci import run
from tests.prove.sheet import Sheet, check

ROOT = Path(__file__).parents[2]
PACKAGES = "ca-certificates,gcc,git,libc6-dev,make,python3,python3-dev,python3-venv"
# How this machine reaches the network: names, authorities, and what is set for pip and uv.
NETWORK = ("etc/hosts", "etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt")
SETTINGS = ("PIP_", "UV_", "SSL_CERT_", "HTTP_", "HTTPS_", "NO_", "ALL_PROXY")


@check(
    "i686",
    "In Debian's smallest i386, on a kernel of 64 bits, `make install` and `make demo` do what they say; "
    "what is pulled is for 32 bits.",
    needs_root=True,
)
def i686(sheet: Sheet) -> None:
    """Set up a clone in a system made by debootstrap; needs Debian's mirror and PyPI."""
    system = sheet.place / "system"
    run("debootstrap", "--arch=i386", "--variant=minbase", f"--include={PACKAGES}", "bookworm", system)
    run("git", "clone", "--quiet", ROOT, system / "headway")
    for name in NETWORK:
        if (Path("/") / name).exists():
            shutil.copy(Path("/") / name, system / name)
    with _entered(system):
        sheet.right("make install", _problem(system, "make -C /headway install"))
        sheet.right("make demo", _problem(system, "make -C /headway demo"))
        sheet.tell("headway version", _said(system, "/headway/.venv/bin/headway version").stdout.strip())
        asked = "from headway.composition.host_platform import host_platform; print(host_platform())"
        platform = _said(system, f"/headway/.venv/bin/python -c '{asked}'").stdout.strip()
        sheet.right("images are for linux/386", "" if platform == "linux/386" else platform)


@contextmanager
def _entered(system: Path) -> Iterator[None]:
    try:
        run("mount", "-t", "proc", "proc", system / "proc")
        run("mount", "--bind", "/dev", system / "dev")
        yield
    finally:
        unmount_below(system)


def _problem(system: Path, command: str) -> str:
    done = _said(system, command)
    return "" if done.returncode == 0 else "; ".join((done.stdout + done.stderr).splitlines()[-5:])


def _said(system: Path, command: str) -> subprocess.CompletedProcess[str]:
    settings = {name: value for name, value in os.environ.items() if name.upper().startswith(SETTINGS)}
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", **settings}
    return subprocess.run(
        ["chroot", system, "sh", "-c", command], env=environment, capture_output=True, text=True, check=False
    )
