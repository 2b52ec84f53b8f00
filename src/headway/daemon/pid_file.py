"""The file that says which process the daemon is (Docker's ``pidfile``, moby-behaviour 7.3)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headway.errors import ConflictError, InvalidSettingError


@contextmanager
def pid_file(path: Path | None) -> Iterator[None]:
    """Keep a file with this process's ID, as long as the block lasts; None keeps none.

    Raises:
        ConflictError: The process that wrote it is alive.
        InvalidSettingError: It cannot be written.
    """
    if path is None:
        yield
        return
    if (other := _writer(path)) and other != os.getpid() and Path(f"/proc/{other}").exists():
        raise ConflictError(f"process with PID {other} is still running ({path})")
    try:
        path.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise InvalidSettingError(f"cannot write the pidfile {path}: {error.strerror}") from None
    try:
        yield
    finally:
        if _writer(path) == os.getpid():  # somebody else's by now stays
            with suppress(OSError):
                path.unlink()


def _writer(path: Path) -> int:
    """Return the process that wrote it; 0 where nobody did."""
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdecimal() and len(text) < 12 else 0
