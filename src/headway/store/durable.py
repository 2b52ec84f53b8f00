"""Files and names that survive a power cut.

Rule: what is published is written under a name that nobody reads, synced, renamed, and its directory synced; each step
is its caller's, for what lies between them differs. Every `OSError` is the caller's to translate.
"""

from __future__ import annotations

import os
from pathlib import Path


def write_new(path: Path, data: bytes) -> None:
    """Write all of a new file, for this user only, and sync it.

    Raises:
        OSError: It is there already, or the disk failed; what was written of it stays.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def fsync_file(path: str | Path) -> None:
    """Make the content of a file survive a power cut, not its name; a link is refused."""
    _fsync(path, os.O_NOFOLLOW)


def fsync_directory(path: str | Path) -> None:
    """Make the names in a directory survive a power cut."""
    _fsync(path, os.O_DIRECTORY)


def _fsync(path: str | Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
