"""Remove a tree of files, whatever it looks like.

Rule 1: a symbolic link is removed, never followed: every step is relative to the descriptor of a directory.
Rule 2: depth costs nothing: a directory found inside is moved up beside the first one and waits its turn
        there, so there is neither recursion nor a path that is too long.
Rule 3: modes do not matter to an owner who is not root.
Rule 4: a disk that has no room for a new name is no hindrance (xfs wants some for every rename): files go first then,
        and where that frees nothing, all of it where it lies.
Rule 5: what cannot be moved goes where it lies: overlay moves no directory of a lower layer.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from headway.errors import FULL
from headway.store.data_root import DataRoot
from headway.store.failures import disk_errors

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEP = 40  # each level takes a descriptor


def move_out(root: DataRoot, path: Path) -> Path | None:
    """Move something to a private name in ``tmp/``, from where `remove_tree` takes it; return that name.

    None where it is not there, or where a file system is mounted on it: that is somebody's, and stays. On a full disk
    it may lose its files where it lies: nothing may need it any more.

    Raises:
        StoreError: The disk failed.
    """
    private = root.private()
    with disk_errors(path):
        try:
            _rename(path, private)
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
        pending = _take_up(path.name, parent, parent, names)
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
            moved += _take_up(name, directory, parent, names)
        else:
            os.unlink(name, dir_fd=directory)
    return moved


def _take_up(name: str, directory: int, parent: int, names: Iterator[str]) -> list[str]:
    """Move a directory up to `parent`; return what it is called there, nothing if it was removed where it lay.

    On a full disk, a tree whose files another one has, too, makes no room for its new name when they are unlinked.
    """
    try:
        return [_move_up(name, directory, parent, names)]
    except OSError as error:
        if error.errno not in FULL:
            raise
        _remove_in_place(name, directory)
        if _is_there(name, directory):
            raise
        return []


def _move_up(name: str, directory: int, parent: int, names: Iterator[str]) -> str:
    # Moving a directory rewrites its "..", for which its own mode must allow writing.
    _grant(name, directory)
    for new in names:
        try:
            _rename(name, new, directory, parent)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        else:
            return new
    raise AssertionError("names never end")


def _rename(name: Path | str, new: Path | str, directory: int | None = None, parent: int | None = None) -> None:
    """Rename; where there is no room for the new name, make some of what the old one stands for."""
    try:
        os.rename(name, new, src_dir_fd=directory, dst_dir_fd=parent)
    except OSError as error:
        if error.errno == errno.EXDEV:  # overlay moves no directory of a lower layer
            _remove_in_place(name, directory)
        elif error.errno in FULL:
            _hollow(name, directory)
        else:
            raise
        os.rename(name, new, src_dir_fd=directory, dst_dir_fd=parent)


def _hollow(name: Path | str, parent: int | None) -> None:
    """Unlink a file, or the files of a tree where they lie, as far as possible; what is mounted inside stays."""
    try:
        with _opened(name, os.O_RDONLY, parent) as top, suppress(OSError):
            home = _mount_of(top)
            for path, names, files, directory in os.fwalk(".", dir_fd=top):
                if path.count("/") >= _DEEP or _mount_of(directory) != home:
                    names.clear()
                    continue
                for file in files:
                    with suppress(OSError):
                        os.unlink(file, dir_fd=directory)
    except NotADirectoryError:
        os.unlink(name, dir_fd=parent)


def _remove_in_place(name: Path | str, parent: int | None) -> None:
    """Remove a tree where it lies, as far as possible; what is mounted inside stays."""
    with suppress(OSError, RecursionError):
        with _opened(name, os.O_RDONLY, parent) as top:
            home = _mount_of(top)
            for _, names, files, directory in os.fwalk(".", topdown=False, dir_fd=top):
                if _mount_of(directory) != home:
                    continue
                for each in (*files, *names):
                    with suppress(OSError):
                        _remove_one(each, directory)
        os.rmdir(name, dir_fd=parent)


def _remove_one(name: str, parent: int) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except IsADirectoryError:
        os.rmdir(name, dir_fd=parent)


def _is_there(name: str, parent: int) -> bool:
    try:
        os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return False
    return True


def _mount_of(descriptor: int) -> str:
    """Return which mount an open directory is on: a bind mount has its file system's device number."""
    with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as lines:
        return next(line for line in lines if line.startswith("mnt_id:"))


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
