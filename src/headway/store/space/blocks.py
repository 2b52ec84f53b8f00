"""Measures the disk space of files in blocks, as du does.

Rule: no link is followed; a file that vanishes meanwhile, or that the disk cannot read, counts as 0.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator

BLOCK = 512
"""The unit of ``st_blocks`` (stat(2)), in bytes."""


def allocated(path: str | os.PathLike[str]) -> int:
    """Return the disk space of one file, link or directory itself, in bytes; 0 where there is none."""
    try:
        return os.lstat(path).st_blocks * BLOCK
    except OSError:
        return 0


def allocated_below(path: str | os.PathLike[str]) -> int:
    """Return the disk space of `path` and everything below it, in bytes, hard links once.

    Other file systems mounted there are left out, and so are files whose path is too long for the kernel.
    """
    return _sum([path])


def freed_by(*paths: str | os.PathLike[str]) -> int:
    """Return the bytes that removing all of `paths` would free: files with another hard link elsewhere free nothing.

    A derived tree shares most of its files with another tree by hard links.
    """
    return _sum(paths, only_last=True)


def freed_inside(directory: str | os.PathLike[str]) -> int:
    """Return the bytes that removing the content of a directory would free, as `freed_by`."""
    return freed_by(directory) - allocated(directory)


def _sum(paths: Iterable[str | os.PathLike[str]], *, only_last: bool = False) -> int:
    """Sum up everything at `paths` and below; count a file at its first name, or only if all its names are found."""
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
    """Yield the status of every name, but of a directory once: one that is bind mounted inside itself has no end."""
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
