"""What the disk says, in Headway's words.

Rule: no `OSError` leaves the store. Whoever touches the disk does it inside `disk_errors`, or, on a path that
runs thousands of times per blob, raises what `disk_error` returns.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headway.errors import FULL, NO_MORE_FILES, StoreError, StoreFullError, StoreReadOnlyError

_READ_ONLY = {
    errno.EROFS: "its file system is read-only",
    errno.EACCES: "this user has no permission",
    errno.EPERM: "this user has no permission, or it is immutable (lsattr tells)",
}


def disk_error(error: OSError, path: str | Path) -> StoreError:
    """Return the store's error for what happened to `path`."""
    if error.errno in FULL:
        return StoreFullError(str(path))
    if error.errno in _READ_ONLY:
        return StoreReadOnlyError(f"cannot use {path}: {_READ_ONLY[error.errno]}")
    failed = StoreError(f"{path}: {os.strerror(error.errno) if error.errno else error}")
    failed.retryable = error.errno in NO_MORE_FILES
    return failed


@contextmanager
def disk_errors(path: str | Path) -> Iterator[None]:
    """Translate every `OSError` of the body.

    Raises:
        StoreFullError: No space and no quota left.
        StoreReadOnlyError: A read-only file system, or no permission.
        StoreError: Anything else.
    """
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error
