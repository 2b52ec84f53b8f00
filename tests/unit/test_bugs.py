"""What nobody foresaw: a bug, or a machine that gives no more."""

from __future__ import annotations

import errno

import pytest

from headway.engine.failures import failure
from headway.service.bugs import foreseen


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("can't start new thread"), "threads"),
        (OSError(errno.EMFILE, "Too many open files"), "open files"),
        (OSError(errno.ENFILE, "Too many open files in system"), "open files"),
        (ImportError("/lib/mmap.so: cannot open shared object file: Too many open files"), "open files"),
    ],
)
def test_a_machine_that_gives_no_more_is_no_bug(error: Exception, what: str) -> None:
    inside = ExceptionGroup("pull", [ValueError("stopped"), ExceptionGroup("layers", [error])])

    for each in (error, inside):
        assert str(foreseen(each)) == f"this machine gives Headway no more {what}"
    assert (failure(error).status, failure(error).message) == (500, f"this machine gives Headway no more {what}")


def test_another_error_is_one() -> None:
    assert foreseen(RuntimeError("out of order")) is None
    assert foreseen(OSError(errno.EBADF, "Bad file descriptor")) is None
    assert foreseen(ExceptionGroup("pull", [ValueError("wrong")])) is None
