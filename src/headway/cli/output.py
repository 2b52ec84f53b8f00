"""What a command writes that is no text: to a file that is whole or is not there, or to stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from headway.cli.terminal import stdout_errors
from headway.errors import RequestError
from headway.store.failures import disk_errors


def require_output(output: Path | None, what: str) -> None:
    """Refuse to write an archive to a terminal, in docker's words.

    Raises:
        RequestError: It would be.
    """
    if output is None and sys.stdout.isatty():
        raise RequestError(f"cowardly refusing to {what} to a terminal. Use the -o flag or redirect")


def write_out(pieces: Iterable[bytes], output: Path | None) -> None:
    """Write `pieces` to a file, or to stdout where there is none; what stands there stays until they are all there.

    Raises:
        StoreFullError: No space left.
        StoreError: The disk failed.
    """
    if output is None:
        for piece in pieces:
            with stdout_errors():
                sys.stdout.buffer.write(piece)
        return
    beside = output.with_name(f".{output.name}.{os.getpid()}")
    if output.exists() and not output.is_file():  # a device or a pipe is written to as it is
        beside = output
    try:
        with disk_errors(output), beside.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            if beside is not output:
                file.flush()
                os.fsync(file.fileno())
                beside.rename(output)
    except BaseException:
        if beside is not output:
            with suppress(OSError):
                beside.unlink()
        raise
