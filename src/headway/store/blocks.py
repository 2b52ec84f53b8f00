"""What files take up on the disk: blocks, as du counts them.

Rule: nothing is followed, and what vanishes meanwhile counts nothing.
"""

from __future__ import annotations

import os
import stat

BLOCK = 512
"""The unit of ``st_blocks`` (stat(2)), in bytes."""


def allocated(path: str | os.PathLike[str]) -> int:
    """Return the bytes that one file, link or directory itself takes up; 0 where there is none."""
    try:
        return os.lstat(path).st_blocks * BLOCK
    except (FileNotFoundError, NotADirectoryError):
        return 0


def allocated_below(path: str | os.PathLike[str]) -> int:
    """Return what `path` takes up with all that is in it, everything once whatever names it has.

    Other file systems, which are mounted there, are left out; so is what lies deeper than a path can say.
    """
    seen: set[int] = set()
    total = 0
    pending = [os.fspath(path)]
    device: int | None = None
    while pending:
        name = pending.pop()
        try:
            status = os.lstat(name)
            device = status.st_dev if device is None else device
            if status.st_dev != device or status.st_ino in seen:
                continue
            if stat.S_ISDIR(status.st_mode):
                with os.scandir(name) as entries:
                    pending += [entry.path for entry in entries]
        except OSError:
            continue
        seen.add(status.st_ino)
        total += status.st_blocks * BLOCK
    return total


def bytes_inside(directory: str | os.PathLike[str]) -> int:
    """Return what the content of a directory takes up, as `allocated_below`, without the directory itself."""
    return allocated_below(directory) - allocated(directory)
