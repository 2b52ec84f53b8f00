"""How many heaps the threads of a process share, and what is given back to the kernel when it is free.

glibc gives each thread a heap of its own, up to eight for each core. What a layer or an answer leaves free in one is
of no use to the others, and holes add up: after some minutes under load a daemon held 20 MB that nobody used.
It also takes the largest piece that was ever freed for a measure of what to keep: the first zstd window of 8 MiB makes
it put the next ones into the heaps, and keep up to 16 MiB free there. Where memory is short, pieces of any size go back
at once: 6 MB less in a pull, for half as much CPU again.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

from headway.layers.available_memory import is_memory_short

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_HEAPS = 2
_LARGE = 1 << 20  # more than a piece of a tar, less than a window
_LARGE_WHERE_SHORT = 128 << 10  # where glibc begins


def share_heaps() -> None:
    """Have all threads that begin from now on share two heaps; nothing happens where malloc is not glibc's."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, _HEAPS)
        large = _LARGE_WHERE_SHORT if is_memory_short() else _LARGE
        mallopt(_M_MMAP_THRESHOLD, large)
        mallopt(_M_TRIM_THRESHOLD, large)


def trim_heaps() -> None:
    """Give what is free in them back to the kernel, holes too; nothing happens where malloc is not glibc's."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))
