"""Makes trees of files survive a power cut, with one `syncfs` for all threads that wait.

Rule 1: at most one `syncfs` runs. A thread that arrives while one runs needs the next one, and shares it with all
        others that arrive in that time.
Rule 2: an error counts against every tree that was being written when it was reported: the kernel reports an error
        once, and does not say whose pages were lost.
Rule 3: `syncfs` also writes the files of every other process, and cannot be interrupted. A thread that has waited for
        ten seconds syncs its own files one by one, until either is done.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Thread

from headway.errors import StoreError
from headway.libc import syncfs
from headway.store.failures import disk_error, disk_errors

PATIENCE_SECONDS = 10.0
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Syncer:
    """Syncs the file system of one directory.

    Args:
        path: A directory on the file system.
        sync: Syncs the whole file system of a descriptor.
        sync_file: Syncs one file or directory.
        patience_seconds: How long to wait for `sync` before syncing files one by one.
    """

    def __init__(
        self,
        path: Path,
        *,
        sync: Callable[[int], None] = syncfs,
        sync_file: Callable[[int], None] = os.fdatasync,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._path = path
        self._sync = sync
        self._sync_file = sync_file
        self._patience_seconds = patience_seconds
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
        """Give a mark for `sync`; to be entered before the first byte of a tree is written, and left when it is synced.

        A descriptor is open all the time, for the kernel reports to it only errors that occurred after it was opened.

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
                self._leave()

    def _leave(self) -> None:
        self._watchers -= 1
        if not self._watchers:
            os.close(self._descriptor)

    def sync(self, since: int, trees: Sequence[Path] = ()) -> None:
        """Return when everything that was written before this call is on the disk, or at least `trees` are.

        Args:
            since: The mark from `watching`.
            trees: Files and directories to sync one by one if syncing everything takes too long; none to wait for
                everything.

        Raises:
            StoreError: Something that was written since the mark, by any process, may be lost.
        """
        with self._changed:
            wanted = self._begun + 1
            in_time = self._wait(wanted, time.monotonic() + self._patience_seconds if trees else None)
        if not in_time:
            with disk_errors(self._path):
                one_by_one = all(self._sync_each(tree, wanted) for tree in trees)
            if not one_by_one:
                with self._changed:
                    self._wait(wanted, None)
        with self._changed:
            if self._failures != since and self._last is not None:
                raise disk_error(self._last, self._path) from self._last

    def _wait(self, wanted: int, deadline: float | None) -> bool:
        """Wait for the sync with this number, and start it when its turn comes; tell whether it has ended in time."""
        while self._ended < wanted:
            if self._begun == self._ended:
                self._begin()
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            self._waiting += 1
            self._changed.wait(left)
            self._waiting -= 1
        return True

    def _begin(self) -> None:
        try:
            Thread(target=self._run, name="syncfs", daemon=True).start()
        except RuntimeError as error:
            raise StoreError(f"{self._path}: cannot be synced: {error}") from error
        self._begun += 1
        self._watchers += 1  # the thread uses the descriptor, and may outlast all who wait for it

    def _run(self) -> None:
        """Sync once."""
        failure: OSError | None = None
        try:
            self._sync(self._descriptor)
        except OSError as error:
            failure = error
        with self._changed:
            self._ended = self._begun
            if failure is not None:
                self._failures += 1
                self._last = failure
            self._leave()
            self._changed.notify_all()

    def _sync_each(self, tree: Path, wanted: int) -> bool:
        """Sync a tree file by file; return False if that is not possible.

        A file may lie too deep for a path. Stops early, as a success, when the sync of everything has ended meanwhile.
        """
        pending = [os.fsencode(tree)]
        while pending:
            if self._ended >= wanted:
                return True
            path = pending.pop()
            try:
                descriptor = os.open(path, _READ)
            except FileNotFoundError:
                continue  # a layer without a recipe
            except OSError:
                return False
            try:
                pending += _below(descriptor, path)
                self._sync_file(descriptor)
            finally:
                os.close(descriptor)
        return True

    def waiting(self) -> int:
        """Return how many threads wait for a sync."""
        return self._waiting


def _below(descriptor: int, path: bytes) -> list[bytes]:
    """Return the directories and regular files in a directory: other kinds have no content besides their names."""
    try:
        with os.scandir(descriptor) as entries:
            return [
                os.path.join(path, os.fsencode(entry.name))
                for entry in entries
                if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
            ]
    except NotADirectoryError:
        return []
