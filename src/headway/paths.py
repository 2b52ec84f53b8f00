"""What lies at a path, as the kernel says it.

Rule: nothing there is one thing, and a disk that does not tell another. `Path.exists` and its like keep the two apart
      up to Python 3.13 only, and `os.path` never did; what is taken for gone is made again.
"""

from __future__ import annotations

import errno
import stat
from pathlib import Path

_NOTHING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def is_there(path: Path, *, follow: bool = True) -> bool:
    """Tell whether anything lies there; a symlink that leads nowhere does where it is not followed.

    Raises:
        OSError: The disk does not tell, or this user may not look.
    """
    return _kind(path, follow=follow) != 0


def is_file(path: Path, *, follow: bool = True) -> bool:
    """Tell whether a regular file does; raise as `is_there`."""
    return _kind(path, follow=follow) == stat.S_IFREG


def is_directory(path: Path, *, follow: bool = True) -> bool:
    """Tell whether a directory does; raise as `is_there`."""
    return _kind(path, follow=follow) == stat.S_IFDIR


def _kind(path: Path, *, follow: bool) -> int:
    try:
        return stat.S_IFMT(path.stat(follow_symlinks=follow).st_mode)
    except OSError as error:
        if error.errno in _NOTHING:
            return 0
        raise
