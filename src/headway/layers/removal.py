"""Take something out of a tree that is being built, whatever it is.

Rule: neither depth nor width costs more than one descriptor and the names of the directories in question.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Removed = Callable[[bytes, os.stat_result], None]
"""Is told the path and the lstat of each thing that is gone."""

Removing = Callable[[int, bytes, os.stat_result], None]
"""Is told parent, path and lstat of what is about to go, and of each thing in it but directories."""


def remove(parent: int, path: bytes, removed: Removed, removing: Removing | None = None) -> os.stat_result:
    """Remove what has the last component of `path` as its name in `parent`, with all below it; return its lstat.

    Nobody else may change the tree meanwhile. The owner needs u+rwx on its directories.

    Raises:
        OSError: As unlink(2) and rmdir(2).
    """
    name = path.rpartition(b"/")[2]
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if removing is not None:
        removing(parent, path, status)
    if stat.S_ISDIR(status.st_mode):
        _Emptying(os.open(name, _DIRECTORY, dir_fd=parent), path, removed, removing).run()
        os.rmdir(name, dir_fd=parent)
    else:
        os.unlink(name, dir_fd=parent)
    removed(path, status)
    return status


class _Emptying:
    """Empties one directory, depth first, and closes it."""

    def __init__(self, here: int, path: bytes, removed: Removed, removing: Removing | None) -> None:
        self._here = here
        self._above = [path]
        self._removed = removed
        self._removing = removing

    def run(self) -> None:
        try:
            waiting = [self._empty()]
            while waiting:
                if waiting[-1]:
                    self._above.append(waiting[-1].pop())
                    self._move(self._above[-1])
                    waiting.append(self._empty())
                else:
                    waiting.pop()
                    self._leave()
        finally:
            os.close(self._here)

    def _empty(self) -> list[bytes]:
        """Remove all but directories; return the names of those."""
        directories = []
        with os.scandir(self._here) as found:
            entries = list(found)
        for entry in entries:
            name = os.fsencode(entry.name)
            if entry.is_dir(follow_symlinks=False):
                directories.append(name)
            else:
                status = entry.stat(follow_symlinks=False)
                path = b"/".join([*self._above, name])
                if self._removing is not None:
                    self._removing(self._here, path, status)
                os.unlink(name, dir_fd=self._here)
                self._removed(path, status)
        return directories

    def _leave(self) -> None:
        """Go up and remove the directory that is empty now; the first one is the caller's."""
        path = b"/".join(self._above)
        name = self._above.pop()
        if self._above:
            status = os.stat(self._here)
            self._move(b"..")
            os.rmdir(name, dir_fd=self._here)
            self._removed(path, status)

    def _move(self, name: bytes) -> None:
        descriptor = os.open(name, _DIRECTORY, dir_fd=self._here)
        os.close(self._here)
        self._here = descriptor
