"""What this machine is, as ``/info`` and ``/version`` tell it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec

from headway.composition.host_platform import host_platform
from headway.oci.platform import Platform

_UNKNOWN = "unknown"


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A machine.

    Attributes:
        name: Its host name.
        kernel: Version of its kernel.
        system: Name of its distribution, for a person.
        system_version: Version of that.
        machine: As ``uname -m`` says.
        platform: What images are for that run on it.
        processors: Those this process may use.
        memory: Bytes.
    """

    name: str
    kernel: str
    system: str
    system_version: str
    machine: str
    platform: Platform
    processors: int
    memory: int


def this_host() -> Host:
    """Return what this machine says of itself; what it does not say is left empty."""
    system = os.uname()
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    return Host(
        name=system.nodename,
        kernel=system.release,
        system=release.get("PRETTY_NAME", _UNKNOWN),
        system_version=release.get("VERSION_ID", ""),
        machine=system.machine,
        platform=host_platform(),
        processors=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    )


def open_descriptors() -> int:
    """Return how many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
