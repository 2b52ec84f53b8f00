"""Measures files as Docker counts them, and describes file systems in Docker's words (moby-behaviour 4.7)."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from headway.container_records import Change, ChangeKind
from headway.layers.drivers import mounts
from headway.layers.trees.files import LeftOut, TreeFiles, sums
from headway.libc import failure, libc

# Moby's names of file systems that differ from the kernel's.
_KINDS = {"ext2": "extfs", "ext3": "extfs", "ext4": "extfs", "overlay": "overlayfs", "": "<unknown>"}
_TYPE_OFFSET = 18  # of d_type in struct dirent64
_UNKNOWN = 0


def size_of(directory: Path) -> int:
    """Return the sum of the sizes of all non-directories below `directory`, hard links once.

    Files that a container removes meanwhile are not counted.

    Raises:
        OSError: The disk failed.
    """
    with TreeFiles(directory) as files:
        return sums(status for _, status in files.walk(changing=True))[0]


def size_of_changed(root: Path, changes: Iterable[Change]) -> int:
    """Return the sum of the sizes of all non-directories that were added or modified below `root`, hard links once.

    Raises:
        OSError: The disk failed.
    """
    return sums(_changed(root, changes))[0]


def kind_of(path: Path) -> str:
    """Return Docker's name for the kind of file system that holds `path`."""
    kind = mounts.file_system(str(path))
    return _KINDS.get(kind, kind)


def gives_types(path: Path) -> bool:
    """Tell whether readdir(3) on this file system gives the kind of each file (``d_type``), which overlay needs.

    Raises:
        OSError: The disk failed.
    """
    read = getattr(libc, "readdir64", None) or libc.readdir  # musl has one form only, with 64 bits
    libc.opendir.restype = read.restype = ctypes.c_void_p
    stream = libc.opendir(os.fsencode(path))
    if not stream:
        raise failure(str(path))
    try:
        entry = read(ctypes.c_void_p(stream))  # "." at the least
        return bool(entry) and ctypes.string_at(entry + _TYPE_OFFSET, 1)[0] != _UNKNOWN
    finally:
        libc.closedir(ctypes.c_void_p(stream))


def _changed(root: Path, changes: Iterable[Change]) -> Iterator[os.stat_result]:
    with TreeFiles(root) as files:
        for change in changes:
            if change.kind is not ChangeKind.DELETED:
                with LeftOut():
                    yield files.status(os.fsencode(change.path.strip("/")))
