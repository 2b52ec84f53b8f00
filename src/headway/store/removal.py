"""Remove a tree of files, whatever it looks like.

Rule 1: a symbolic link is removed, never followed: every step is relative to the descriptor of a directory.
Rule 2: depth costs nothing: a directory found inside is moved up beside the first one and waits its turn
        there, so there is neither recursion nor a path that is too long.
Rule 3: modes do not matter to an owner who is not root.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from headway.store.data_root import DataRoot
from headway.store.failures import disk_errors

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def move_out(root: DataRoot, path: Path) -> Path | None:
    """Move something to a private name in ``tmp/``, from where `remove_tree` takes it; return that name.

    None where it is not there, or where a file system is mounted on it: that is somebody's, and stays.

    Raises:
        StoreError: The disk failed.
    """
    private = root.private()
    with disk_errors(path):
        try:
            os.rename(path, private)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return None
    return private


def remove_tree(path: Path) -> None:
    """Remove `path`, whether it is a directory, something else, or absent.

    Its parent must be ``tmp/``: directories from inside stay there meanwhile, and where this is cut short.

    Raises:
        StoreError: The disk failed, or something is mounted inside.
    """
    with disk_errors(path), _opened(path.parent, os.O_RDONLY) as parent:
        try:
            kind = os.lstat(path.name, dir_fd=parent).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(kind):
            os.unlink(path.name, dir_fd=parent)
            return
        names = (f"{path.name}.{number}" for number in count())
        # Moved first of all: where a file system is mounted that is refused, before anything in it is touched.
        pending = [_move_up(path.name, parent, parent, names)]
        while pending:
            name = pending.pop()
            with _opened(name, os.O_RDONLY, parent) as directory:
                pending += _empty(directory, parent, names)
            os.rmdir(name, dir_fd=parent)


def _empty(directory: int, parent: int, names: Iterator[str]) -> list[str]:
    """Unlink what is no directory, move directories up to `parent`; return what they are called there."""
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    moved = []
    for name, is_directory in found:
        if is_directory:
            moved.append(_move_up(name, directory, parent, names))
        else:
            os.unlink(name, dir_fd=directory)
    return moved


def _move_up(name: str, directory: int, parent: int, names: Iterator[str]) -> str:
    # Moving a directory rewrites its "..", for which its own mode must allow writing.
    _grant(name, directory)
    for new in names:
        try:
            os.rename(name, new, src_dir_fd=directory, dst_dir_fd=parent)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        else:
            return new
    raise AssertionError("names never end")


def _grant(name: str, parent: int) -> None:
    """Let the owner of a directory list and change it."""
    with _opened(name, os.O_PATH, parent) as directory:
        mode = os.fstat(directory).st_mode
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            # A descriptor opened with O_PATH takes no fchmod; its name in /proc does, and follows nothing.
            os.chmod(f"/proc/self/fd/{directory}", stat.S_IMODE(mode) | stat.S_IRWXU)


@contextmanager
def _opened(path: Path | str, how: int, parent: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, how | _DIRECTORY, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
