"""Folders elsewhere than on the measured disk, for sockets, logs and the like: their paths have to be short.

Rule: a name says which process made it, so that what a killed run left can be told from what is in use.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.disk import unmount_below

PREFIX = "headway-bench-"


def own_name(rest: str) -> str:
    """Return a name that tells this process: for a folder, or a control group."""
    return f"{PREFIX}{os.getpid()}-{rest}"


@contextmanager
def scratch() -> Iterator[Path]:
    """Give an empty folder, which is gone after the block."""
    with tempfile.TemporaryDirectory(prefix=own_name("")) as place:
        yield Path(place)


def abandoned(parent: Path) -> list[Path]:
    """Return what processes that are dead have left in a folder."""
    return [path for path in sorted(parent.glob(f"{PREFIX}*-*")) if not _is_alive(path.name)]


def sweep(parent: Path | None = None) -> None:
    """Remove what killed runs have left, mounts below it included; by default where `scratch` makes folders."""
    for left in abandoned(parent or Path(tempfile.gettempdir())):
        unmount_below(left)
        shutil.rmtree(left)


def _is_alive(name: str) -> bool:
    return Path("/proc", name.removeprefix(PREFIX).partition("-")[0]).exists()
