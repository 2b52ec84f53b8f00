"""Writes the content of a file, from the pieces of a tar to an open file."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable

from headway.layers.tar.sparse_maps import Map

STEP = 8 << 20
"""After so many bytes of a large file the kernel is asked to begin writing them to the disk.

The sync at the end finds less to do, and less is dirty meanwhile: beyond a share of the memory, the kernel stores
whatever is dirty, downloads included that are about to be removed.
"""

_SYNC_FILE_RANGE_WRITE = 2  # linux/fs.h


def _system_call() -> Callable[[int, int, int, int], int] | None:
    try:
        call: Callable[[int, int, int, int], int] = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):  # not Linux
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)  # type: ignore[attr-defined]  # C's
    return call


_sync_file_range = _system_call()


def write(descriptor: int, body: Iterable[memoryview]) -> None:
    """Write all of `body`.

    Raises:
        OSError: As write(2).
    """
    waiting = 0
    for view in body:
        written = os.write(descriptor, view)
        while written < len(view):
            written += os.write(descriptor, view[written:])
        waiting += written
        if waiting >= STEP:
            _begin_to_store(descriptor, waiting)
            waiting = 0
    if waiting >= 1 << 16:
        _begin_to_store(descriptor, waiting)


def _begin_to_store(descriptor: int, length: int) -> None:
    """Begin to write the last bytes of a file to the disk; failures show when the file is synced."""
    if _sync_file_range is not None:
        end = os.lseek(descriptor, 0, os.SEEK_CUR)
        _sync_file_range(descriptor, end - length, length, _SYNC_FILE_RANGE_WRITE)


def write_sparse(descriptor: int, body: Iterable[memoryview], sparse: Map, size: int) -> None:
    """Write the parts of a sparse file to their offsets, and set its length; the rest stays a hole.

    Raises:
        OSError: As lseek(2), write(2) and ftruncate(2).
    """
    parts = ((offset, length) for offset, length in sparse if length)
    left = 0
    for view in body:
        rest = view
        while rest:
            if not left:
                offset, left = next(parts)  # the map is as long as the body, see `sparse_maps.checked`
                os.lseek(descriptor, offset, os.SEEK_SET)
            write(descriptor, (rest[:left],))
            taken = min(left, len(rest))
            left -= taken
            rest = rest[taken:]
    os.ftruncate(descriptor, size)
