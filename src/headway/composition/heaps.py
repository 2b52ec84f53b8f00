"""How many heaps the threads of a process share.

glibc gives each thread a heap of its own, up to eight for each core. What a layer or an answer leaves free in one is
of no use to the others, and holes add up: after some minutes under load a daemon held 20 MB that nobody used.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8  # malloc.h
_HEAPS = 2


def share_heaps() -> None:
    """Have all threads that begin from now on share two heaps; nothing happens where malloc is not glibc's."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)
