"""What files take up on the disk: blocks, as du counts them.

Rule: nothing is followed, and what vanishes meanwhile counts nothing.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

BLOCK = 512
"""The unit of ``st_blocks`` (stat(2)), in bytes."""


def allocated(path: Path) -> int:
    """Return the bytes that one file, link or directory itself takes up; 0 where there is none."""
    try:
        return os.lstat(path).st_blocks * BLOCK
    except (FileNotFoundError, NotADirectoryError):
        return 0


def allocated_below(path: Path) -> int:
    """Return what `path` takes up with all that is in it, hard links once.

    What lies deeper than a path can say is left out.
    """
    seen: set[tuple[int, int]] = set()
    total = 0
    pending = [os.fspath(path)]
    while pending:
        name = pending.pop()
        try:
            status = os.lstat(name)
            if stat.S_ISDIR(status.st_mode):
                pending += [entry.path for entry in os.scandir(name)]
        except OSError:
            continue
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            if (identity := (status.st_dev, status.st_ino)) in seen:
                continue
            seen.add(identity)
        total += status.st_blocks * BLOCK
    return total
