"""Make whole trees of files survive a power cut: one `syncfs` for all who wait.

Rule 1: at most one is under way. Who comes while it runs needs the next one, and shares it with all who came
        then.
Rule 2: an error counts against every tree that was being written when it was reported: the kernel does not
        say whose pages were lost, and says so once.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition

from headway.store.failures import disk_error, disk_errors


def syncfs(descriptor: int) -> None:
    """Write everything of one file system to the disk (syncfs(2)).

    Raises:
        OSError: Something written since the descriptor was opened did not reach the disk.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(descriptor) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class Syncer:
    """Syncs the file system of one directory.

    Args:
        path: A directory on the file system.
        sync: Syncs the file system of a descriptor.
    """

    def __init__(self, path: Path, *, sync: Callable[[int], None] = syncfs) -> None:
        self._path = path
        self._sync = sync
        self._changed = Condition()
        self._descriptor = -1
        self._watchers = 0
        self._begun = 0
        self._ended = 0
        self._failures = 0
        self._waiting = 0
        self._last: OSError | None = None

    @contextmanager
    def watching(self) -> Iterator[int]:
        """Give a mark for `sync`; entered before the first byte of a tree is written, left when it is synced.

        The kernel reports to a descriptor only what failed after it was opened, so one is open meanwhile.

        Raises:
            StoreError: The directory cannot be opened.
        """
        with self._changed:
            if not self._watchers:
                with disk_errors(self._path):
                    self._descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._watchers += 1
            mark = self._failures
        try:
            yield mark
        finally:
            with self._changed:
                self._watchers -= 1
                if not self._watchers:
                    os.close(self._descriptor)

    def sync(self, since: int) -> None:
        """Return when everything that was written before this call is on the disk.

        Args:
            since: The mark of what was written.

        Raises:
            StoreError: Something written since the mark, by whomever, may be lost.
        """
        with self._changed:
            wanted = self._begun + 1
            while self._ended < wanted:
                if self._begun > self._ended:
                    self._waiting += 1
                    self._changed.wait()
                    self._waiting -= 1
                else:
                    self._run()
            if self._failures != since and self._last is not None:
                raise disk_error(self._last, self._path) from self._last

    def _run(self) -> None:
        """Sync once, with the lock given up meanwhile."""
        self._begun += 1
        self._changed.release()
        failure: OSError | None = None
        try:
            self._sync(self._descriptor)
        except OSError as error:
            failure = error
        finally:
            self._changed.acquire()
            self._ended = self._begun
            if failure is not None:
                self._failures += 1
                self._last = failure
            self._changed.notify_all()

    def waiting(self) -> int:
        """Return how many threads wait for a sync that another one began."""
        return self._waiting
