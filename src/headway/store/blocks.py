"""What files take up on the disk: blocks, as du counts them.

Rule: nothing is followed, and what vanishes meanwhile, or the disk does not tell of, counts nothing.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator

BLOCK = 512
"""The unit of ``st_blocks`` (stat(2)), in bytes."""


def allocated(path: str | os.PathLike[str]) -> int:
    """Return the bytes that one file, link or directory itself takes up; 0 where there is none."""
    try:
        return os.lstat(path).st_blocks * BLOCK
    except OSError:
        return 0


def allocated_below(path: str | os.PathLike[str]) -> int:
    """Return what `path` takes up with all that is in it, everything once whatever names it has.

    Other file systems, which are mounted there, are left out; so is what lies deeper than a path can say.
    """
    return _sum([path])


def freed_by(*paths: str | os.PathLike[str]) -> int:
    """Return what removing all of `paths` would free: as `allocated_below`, without files that keep a name elsewhere.

    A derived tree has most of its files from another one, as names of the same.
    """
    return _sum(paths, only_last=True)


def freed_inside(directory: str | os.PathLike[str]) -> int:
    """Return what removing the content of a directory would free, as `freed_by`."""
    return freed_by(directory) - allocated(directory)


def _sum(paths: Iterable[str | os.PathLike[str]], *, only_last: bool = False) -> int:
    """Sum up what is at `paths` and below: each file at its first name, or at the last one that it has anywhere."""
    names: Counter[tuple[int, int]] = Counter()
    total = 0
    for status in _found(paths):
        if not stat.S_ISDIR(status.st_mode) and status.st_nlink > 1:
            file = status.st_dev, status.st_ino
            names[file] += 1
            if names[file] != (status.st_nlink if only_last else 1):
                continue
        total += status.st_blocks * BLOCK
    return total


def _found(paths: Iterable[str | os.PathLike[str]]) -> Iterator[os.stat_result]:
    """Yield the status of every name; a directory that is mounted in itself once, for it would have no end."""
    directories: set[tuple[int, int]] = set()
    pending: list[tuple[str, int | None]] = [(os.fspath(path), None) for path in paths]
    while pending:
        name, device = pending.pop()
        try:
            status = os.lstat(name)
            if device not in (None, status.st_dev):
                continue
            if stat.S_ISDIR(status.st_mode):
                directory = status.st_dev, status.st_ino
                if directory in directories:
                    continue
                with os.scandir(name) as entries:
                    pending += [(entry.path, status.st_dev) for entry in entries]
                directories.add(directory)
        except OSError:
            continue
        yield status
