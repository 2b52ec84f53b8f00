"""Writes a command's binary output: to stdout, or to a file that appears only once it is complete."""

from __future__ import annotations

import os
import signal
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
    _end_as_by_ctrl_c()
    with disk_errors(output):
        is_special = output.exists() and not output.is_file()  # a device or a pipe is written to as it is
        beside = output if is_special else output.parent / f".headway-{os.getpid()}"
        try:
            with beside.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
                if not is_special:
                    file.flush()
                    os.fsync(file.fileno())
                    beside.rename(output)
        except BaseException:
            if not is_special:
                with suppress(OSError):
                    beside.unlink()
            raise


def _end_as_by_ctrl_c() -> None:
    """Let a signal that ends this process be an exception: half an archive would stay, which nobody ever removes."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is signal.SIG_DFL:  # nohup ignores one of them
            signal.signal(each, signal.default_int_handler)
