"""How many heaps the threads of a process share.

glibc gives each thread a heap of its own, up to eight for each core. What a layer or an answer leaves free in one is
of no use to the others, and holes add up: after some minutes under load a daemon held 20 MB that nobody used.
Where memory is short, large pieces go back to the kernel at once too: 6 MB less in a pull, for half as much CPU again.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

from headway.layers.available_memory import is_memory_short

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_HEAPS = 2
_LARGE = 128 << 10  # where glibc begins, before it takes what is freed for a measure


def share_heaps() -> None:
    """Have all threads that begin from now on share two heaps; nothing happens where malloc is not glibc's."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, _HEAPS)
        if is_memory_short():
            mallopt(_M_MMAP_THRESHOLD, _LARGE)
            mallopt(_M_TRIM_THRESHOLD, _LARGE)
