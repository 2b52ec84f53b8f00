"""Calls of the C library that Python does not offer.

Rule: what goes wrong is an `OSError`, as from calls that Python offers.
"""

from __future__ import annotations

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
"""Its functions by their names; each returns what C returns."""


def failure(path: str | bytes | None = None) -> OSError:
    """Return what the call that has just failed in this thread said; `path` is what it was about."""
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), path)


def syncfs(descriptor: int) -> None:
    """Write everything of one file system to the disk (syncfs(2)).

    Raises:
        OSError: Something written since the descriptor was opened did not reach the disk.
    """
    if libc.syncfs(descriptor) != 0:
        raise failure()
