"""Take something out of a data root: first its name, then what it is.

Rule: where there is no room for another name (xfs wants some for each) or can be none (overlay moves no directory of a
lower layer), it goes where it lies.
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
    """Move something to a private name in ``tmp/``, from where `remove_tree` takes it; return that name.

    None where it is not there, was removed where it lay, or where a file system is mounted on it: that is somebody's,
    and stays. Nothing may need it any more.

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
    """Move something to a private name in ``tmp/``, or remove it where it lies; tell whether it has that name now.

    Raises:
        OSError: As rename(2).
        StoreError: It can have no other name, and the disk failed, or something is mounted inside.
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
    """Remove `path`, whether it is a directory, something else, or absent, whatever modes its directories have.

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
