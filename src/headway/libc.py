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


def change_mode(parent: int, name: bytes, mode: int) -> None:
    """Change the mode of what has a name in an open directory; never that of what a symlink leads to.

    chmod(2) follows symlinks, and in a container's root somebody may put one in the place of what was just made.

    Raises:
        OSError: As open(2) and chmod(2).
    """
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(b"/proc/self/fd/%d" % descriptor, mode)  # noqa: PTH101  # once for each file, maybe
    finally:
        os.close(descriptor)


def syncfs(descriptor: int) -> None:
    """Write everything of one file system to the disk (syncfs(2)).

    Raises:
        OSError: Something written since the descriptor was opened did not reach the disk.
    """
    if libc.syncfs(descriptor) != 0:
        raise failure()
