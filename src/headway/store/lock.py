"""One writer per data root.

Rule: the lock is the kernel's (`flock`), so that a killed holder frees it. The content of the file (process ID, socket)
      is valid only while the lock is held.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import msgspec

from headway.errors import StoreBusyError, StoreError, StoreFullError
from headway.store.failures import disk_errors

_WAIT_SECONDS = 5.0  # for another writer
_POLL_SECONDS = 0.1
_BUSY = (errno.EWOULDBLOCK, errno.EACCES)


class Holder(msgspec.Struct, frozen=True):
    """The process that writes to a data root.

    Attributes:
        pid: Process ID; 0 if the record cannot be read.
        socket: Path of the socket it serves, or an empty string.
    """

    pid: int = 0
    socket: str = ""


class WriterLock:
    """The right to write below one data root. Leaving the context, or the death of the process, gives it up.

    Args:
        path: The lock file, in a directory that exists.
        monotonic: Returns monotonic time, in seconds.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._monotonic = monotonic
        self._sleep = sleep
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Take the lock and record this process.

        Raises:
            StoreBusyError: Another process has held it for the whole wait.
            StoreReadOnlyError: The lock file cannot be written.
            StoreError: The disk failed; the lock is not held.
        """
        with disk_errors(self._path), ExitStack() as failed:
            descriptor = self._open()
            failed.callback(os.close, descriptor)
            self._take(descriptor)
            self._descriptor = descriptor
            # Who holds it is the kernel's to say; a full disk must not keep us from freeing it.
            with suppress(StoreFullError):
                self.announce("")
            failed.pop_all()
        return self

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise StoreError(f"{self._path} is a symbolic link, and no lock: remove it") from None

    def _take(self, descriptor: int) -> None:
        deadline = self._monotonic() + _WAIT_SECONDS
        while not _locked(descriptor, fcntl.LOCK_EX):
            if self._monotonic() >= deadline:
                raise StoreBusyError(str(self._path.parent), _recorded(descriptor).pid)
            self._sleep(_POLL_SECONDS)

    def announce(self, socket: str) -> None:
        """Record the socket at which this process can be asked; the lock must be held.

        Raises:
            StoreError: The disk failed.
        """
        record = msgspec.json.encode(Holder(pid=os.getpid(), socket=socket))
        with disk_errors(self._path):
            # In this order a reader in between sees this record or nothing, never a dead process's.
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, record, 0)

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # some file systems tell only now that they could not write who holds it
            os.close(self._descriptor)
        self._descriptor = -1


def holder(path: Path) -> Holder | None:
    """Return who holds a data root's lock now, or None, without taking the lock or waiting.

    Raises:
        StoreReadOnlyError: This user may not read the lock file.
    """
    with disk_errors(path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # it may be a fifo
        except FileNotFoundError:
            return None
        try:
            return None if _locked(descriptor, fcntl.LOCK_SH) else _recorded(descriptor)
        finally:
            os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise
    return True


def _recorded(descriptor: int) -> Holder:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    except (ValueError, RecursionError):  # no JSON, no text, or nested for ever
        return Holder()
