"""Removes a file or a whole directory tree, of any depth, safely beside others who change it.

Rule 1: it takes one descriptor, and memory for the names in the directories on the way down, however deep or wide the
        tree is. Nothing is renamed: a full disk may have no room for another name.
Rule 2: no symlink is followed. Each ``..`` is compared with the directory that was left on the way down: where somebody
        has moved a directory meanwhile, it may lie outside the tree, and nothing there is touched.
Rule 3: mounts inside are left alone: rmdir(2) fails on a mount point, and is tried before a directory is read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from headway.libc import change_mode

_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Removed = Callable[[bytes, os.stat_result], None]
"""Called with the path and the lstat of each thing that was removed."""

Removing = Callable[[int, bytes, os.stat_result], None]
"""Called with parent, path and lstat before a removal: of the thing itself, and of each non-directory in it."""


def remove(
    parent: int,
    path: bytes,
    removed: Removed | None = None,
    removing: Removing | None = None,
    *,
    grant: bool = False,
) -> os.stat_result:
    """Remove a file, or a directory with everything below it; return its lstat.

    If somebody else changes the tree meanwhile, this may fail and leave a part of it, but never reaches outside.

    Args:
        parent: Descriptor of the directory that holds it.
        path: Its path as callbacks see it; only the last component, its name in `parent`, is used here.
        removed: Called after each removal.
        removing: Called before removals.
        grant: Whether to add u+rwx to directories that lack it, without which their owner cannot empty them.

    Raises:
        OSError: As unlink(2) and rmdir(2): EBUSY where something is mounted; ESTALE where a directory was moved away
            while it was being emptied.
    """
    name = path.rpartition(b"/")[2]
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if removing is not None:
        removing(parent, path, status)
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=parent)
    elif not _was_empty(name, parent):
        _Emptying(_opened(name, parent, grant=grant), path, removed, removing, grant=grant).run()
        os.rmdir(name, dir_fd=parent)
    if removed is not None:
        removed(path, status)
    return status


def _was_empty(name: bytes, parent: int) -> bool:
    """Remove a directory if it is empty; tell whether it was."""
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno not in _NOT_EMPTY:
            raise
        return False
    return True


def _opened(name: bytes, parent: int, *, grant: bool) -> int:
    """Open a directory so that it can be listed and emptied."""
    if grant:
        mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            change_mode(parent, name, stat.S_IMODE(mode) | stat.S_IRWXU)
    return os.open(name, _DIRECTORY, dir_fd=parent)


class _Emptying:
    """Empties one directory, depth first, and closes it."""

    def __init__(
        self, here: int, path: bytes, removed: Removed | None, removing: Removing | None, *, grant: bool
    ) -> None:
        self._here = here
        self._above = [path]
        self._passed: list[os.stat_result] = []  # status of the directories above this one, from the way down
        self._removed = removed
        self._removing = removing
        self._grant = grant

    def run(self) -> None:
        try:
            waiting = [self._empty()]
            while waiting:
                if waiting[-1]:
                    self._above.append(waiting[-1].pop())
                    self._passed.append(os.fstat(self._here))
                    self._move(_opened(self._above[-1], self._here, grant=self._grant))
                    waiting.append(self._empty())
                else:
                    waiting.pop()
                    self._leave()
        finally:
            os.close(self._here)

    def _empty(self) -> list[bytes]:
        """Remove everything except directories that are not empty; return their names."""
        full = []
        # Not scandir: each of its entries keeps a stat result in memory.
        for name in map(os.fsencode, os.listdir(self._here)):  # noqa: PTH208  # of a descriptor
            status = os.stat(name, dir_fd=self._here, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                if self._removing is not None:
                    self._removing(self._here, self._path(name), status)
                os.unlink(name, dir_fd=self._here)
            elif not _was_empty(name, self._here):
                full.append(name)
                continue
            if self._removed is not None:
                self._removed(self._path(name), status)
        return full

    def _leave(self) -> None:
        """Go up and remove the directory that is now empty, unless it is the first one, which the caller removes."""
        name = self._above.pop()
        if self._above:
            status = os.fstat(self._here)
            self._move(os.open(b"..", _DIRECTORY, dir_fd=self._here))
            if not os.path.samestat(os.fstat(self._here), self._passed.pop()):
                raise OSError(errno.ESTALE, "a directory was moved away while it was removed", self._path(name))
            os.rmdir(name, dir_fd=self._here)
            if self._removed is not None:
                self._removed(self._path(name), status)

    def _path(self, name: bytes) -> bytes:
        """Return the path of something in the current directory, for a callback; its length grows with the depth."""
        return b"/".join([*self._above, name])

    def _move(self, descriptor: int) -> None:
        os.close(self._here)
        self._here = descriptor
