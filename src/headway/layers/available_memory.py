"""How much memory this process may have: the machine's, or what its control groups leave of it (cgroups(7))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

_GROUPS = Path("/sys/fs/cgroup")
_LIMITS = ("memory.max", "memory.limit_in_bytes")
"""Of a group, in version 2 and version 1; where there is no limit, the one says ``max`` and the other a huge number."""


ENOUGH_MEMORY = 256 << 20
"""Bytes from which on speed is worth memory; with less, a pull keeps below 64 MB."""


def is_memory_short() -> bool:
    """Tell whether memory counts more than speed here."""
    return available_memory() < ENOUGH_MEMORY


def available_memory(memberships: Path = Path("/proc/self/cgroup"), groups: Path = _GROUPS) -> int:
    """Return the least of what the machine has and what each group that this process is in allows, in bytes.

    Args:
        memberships: Lines of ``hierarchy:controllers:path``.
        groups: Where control groups are mounted.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        lines = memberships.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return machine
    return min([machine, *(limit for line in lines for limit in _limits(line, groups))])


def _limits(line: str, groups: Path) -> Iterator[int]:
    """Yield the limits of a group and of all above it."""
    _, controllers, path = line.split(":", 2)
    mount = groups / "memory" if controllers == "memory" else groups
    if controllers not in ("", "memory"):
        return
    inside = PurePosixPath(path.lstrip("/"))
    for part in (inside, *inside.parents):
        for name in _LIMITS:
            # A container may see its own group at the mount, and none of those above.
            with suppress(OSError, ValueError):
                yield int((mount / part / name).read_text())
