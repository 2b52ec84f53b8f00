"""Take something out of a tree, whatever it is.

Rule 1: neither depth nor width costs more than one descriptor and the names of the directories in question, and nothing
        gets another name: a full disk may have no room for one.
Rule 2: no symlink is followed, and the way up is the way down: where somebody has moved a directory meanwhile, what is
        above it is not what was above it, maybe not even inside the tree, and nothing there is touched.
Rule 3: what is mounted inside stays: rmdir(2), which refuses its place, is tried before a directory is looked into.
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
"""Is told the path and the lstat of each thing that is gone."""

Removing = Callable[[int, bytes, os.stat_result], None]
"""Is told parent, path and lstat of what is about to go, and of each thing in it but directories."""


def remove(
    parent: int,
    path: bytes,
    removed: Removed | None = None,
    removing: Removing | None = None,
    *,
    grant: bool = False,
) -> os.stat_result:
    """Remove what has the last component of `path` as its name in `parent`, with all below it; return its lstat.

    Where somebody else changes the tree meanwhile, it may fail and leave a part; it reaches nothing outside. The owner
    needs u+rwx on its directories, unless `grant` gives that first.

    Raises:
        OSError: As unlink(2) and rmdir(2): EBUSY where something is mounted; ESTALE where a directory was moved away
            while it was emptied.
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
    """Open a directory to list it and to remove what is in it."""
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
        self._were: list[os.stat_result] = []  # the directories above this one, as they were on the way down
        self._removed = removed
        self._removing = removing
        self._grant = grant

    def run(self) -> None:
        try:
            waiting = [self._empty()]
            while waiting:
                if waiting[-1]:
                    self._above.append(waiting[-1].pop())
                    self._were.append(os.fstat(self._here))
                    self._move(_opened(self._above[-1], self._here, grant=self._grant))
                    waiting.append(self._empty())
                else:
                    waiting.pop()
                    self._leave()
        finally:
            os.close(self._here)

    def _empty(self) -> list[bytes]:
        """Remove all but directories that hold something; return the names of those."""
        full = []
        # Not by scandir, whose entries keep what lstat says of each.
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
        """Go up and remove the directory that is empty now; the first one is the caller's."""
        name = self._above.pop()
        if self._above:
            status = os.fstat(self._here)
            self._move(os.open(b"..", _DIRECTORY, dir_fd=self._here))
            if not os.path.samestat(os.fstat(self._here), self._were.pop()):
                raise OSError(errno.ESTALE, "a directory was moved away while it was removed", self._path(name))
            os.rmdir(name, dir_fd=self._here)
            if self._removed is not None:
                self._removed(self._path(name), status)

    def _path(self, name: bytes) -> bytes:
        """Return the path of what is in this directory, for somebody who is told of it: its length is the depth."""
        return b"/".join([*self._above, name])

    def _move(self, descriptor: int) -> None:
        os.close(self._here)
        self._here = descriptor
