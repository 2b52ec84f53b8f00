"""What the operating system says of a tree's files, in Headway's words.

Rule: no `OSError` leaves the layers: whoever begins something that touches files does it inside `disk_failures`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from headway.errors import FULL, NO_MORE_FILES, StoreError, StoreFullError, StoreReadOnlyError


@contextmanager
def disk_failures(what: str) -> Iterator[None]:
    """Translate the operating system's errors; `what` says what was being read or written.

    Raises:
        StoreFullError: No space or quota left.
        StoreReadOnlyError: The file system is read-only.
        StoreError: Anything else.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StoreFullError(what) from error
        if error.errno == errno.EROFS:
            raise StoreReadOnlyError(f"{what}: {error.strerror}") from error
        failed = StoreError(f"{what}: {error.strerror}" + _named(error, beside=what))
        failed.retryable = error.errno in NO_MORE_FILES
        raise failed from error


def _named(error: OSError, *, beside: str) -> str:
    name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else beside
    return f" ({name})" if name != beside else ""
