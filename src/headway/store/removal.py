"""Removes something from a data root: renames it first, so that it is gone at once, and then removes its content.

Rule: if it cannot be renamed, because the disk is full (xfs needs space for a name) or because overlay does not move
      directories of a lower layer, it is removed in place.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from headway.errors import FULL
from headway.removal import remove
from headway.store.data_root import DataRoot
from headway.store.failures import disk_errors

_STAYS_WHERE_IT_IS = FULL | {errno.EXDEV}


def move_out(root: DataRoot, path: Path) -> Path | None:
    """Move something that nothing needs any more to a private name in ``tmp/``, for `remove_tree`; return that name.

    Return None if it is not there, if it was removed in place, or if a file system is mounted on it: that one is in
    use, and stays.

    Raises:
        StoreError: The disk failed.
    """
    private = root.private()
    with disk_errors(path):
        try:
            return private if set_aside(path, private) else None
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return None


def set_aside(path: Path, private: Path) -> bool:
    """Move something to a private name in ``tmp/``, or remove it in place; tell whether it was moved.

    Raises:
        OSError: As rename(2).
        StoreError: It cannot be renamed, and the disk failed, or something is mounted inside.
    """
    try:
        os.rename(path, private)
    except OSError as error:
        if error.errno not in _STAYS_WHERE_IT_IS:
            raise
        remove_tree(path)
        return False
    return True


def remove_tree(path: Path) -> None:
    """Remove `path`, be it a directory, another file, or absent, whatever modes its directories have.

    Raises:
        StoreError: The disk failed, or something is mounted inside.
    """
    with disk_errors(path):
        try:
            os.lstat(path)
        except FileNotFoundError:
            return
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove(parent, os.fsencode(path.name), grant=True)
        finally:
            os.close(parent)
