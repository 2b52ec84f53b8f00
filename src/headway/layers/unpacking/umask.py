"""A umask of one's own for threads that unpack, so that a mode given to open(2) or mkdir(2) is the mode that results.

The umask belongs to the process; `unshare(CLONE_FS)` gives the calling thread its own, and needs no privileges.
"""

from __future__ import annotations

import os
from pathlib import Path

from headway.libc import libc

_CLONE_FS = 0x200


def unshare_umask() -> bool:
    """Give this thread its own umask, root and working directory, and set the umask to 0; tell whether it worked.

    Threads that this one starts share what it has.
    """
    if libc.unshare(_CLONE_FS):
        return False
    os.umask(0)
    return True


def current_umask() -> int:
    """Return this thread's umask without changing it; 0o777 where that cannot be known, to be on the safe side."""
    try:
        status = Path("/proc/thread-self/status").read_bytes()
    except OSError:
        return 0o777
    _, found, rest = status.partition(b"\nUmask:\t")
    return int(rest.split(b"\n", 1)[0], 8) if found else 0o777
