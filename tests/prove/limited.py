"""A control group that caps the memory of a program, all its processes together; root only.

Rule: the cap is the kernel's. Version 2 is used where it has the memory controller, else version 1; a machine that has
it in neither cannot show anything, and that is an error.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Group
from tests.fakes.waiting import wait_until

_ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory")


@dataclass(frozen=True, slots=True)
class Limited:
    """A group, and what the kernel says of it.

    Attributes:
        version: Of control groups.
        members: Starts programs inside, and sums their resident memory.
        folder: The group's own directory.
    """

    version: int
    members: Group
    folder: Path

    @property
    def charged(self) -> int:
        """The most bytes that were charged at once, page cache and the kernel's own included; 0 if it does not say."""
        path = self.folder / ("memory.peak" if self.version == 2 else "memory.max_usage_in_bytes")
        return int(path.read_text()) if path.exists() else 0  # version 2 has it since Linux 5.19

    @property
    def killed(self) -> int:
        """How many of its processes the kernel has killed for want of memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        facts = dict(line.split() for line in (self.folder / name).read_text().splitlines())
        return int(facts["oom_kill"])


@contextmanager
def limited(memory: int) -> Iterator[Limited]:
    """Give a group whose processes together have so many bytes; what still runs at the end is killed.

    Raises:
        RuntimeError: No control group here caps memory.
    """
    version, parent = _hierarchy()
    folder = parent / f"headway-prove-{os.getpid()}"
    folder.mkdir()
    members = Group(folder)
    try:
        if version == 2:
            (folder / "memory.max").write_text(str(memory))
            with contextlib.suppress(OSError):  # no swap is accounted for
                (folder / "memory.swap.max").write_text("0")
        else:
            (folder / "memory.limit_in_bytes").write_text(str(memory))
        yield Limited(version, members, folder)
    finally:
        members.kill()
        # What was charged to it may outlive its last process by a moment.
        wait_until(lambda: _is_removed(folder))


def _hierarchy() -> tuple[int, Path]:
    """Return the version of control groups that can cap memory here, and where a group can be made."""
    for root in map(Path, _ROOTS):
        controllers = root / "cgroup.controllers"
        if controllers.exists() and "memory" in controllers.read_text().split():
            (root / "cgroup.subtree_control").write_text("+memory")
            return 2, root
        if (root / "memory.limit_in_bytes").exists():
            return 1, root
    raise RuntimeError(f"no control group caps memory: looked in {', '.join(_ROOTS)}")


def _is_removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
