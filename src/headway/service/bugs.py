"""Bugs in Headway itself: the traceback goes into the log under an ID, and nobody outside sees more than that ID.

Rule: a machine that gives no more memory, threads or open files is none.
"""

from __future__ import annotations

import logging
import os
import secrets

from headway.errors import NO_MORE_FILES, HeadwayError, ShortageError

log = logging.getLogger(__name__)


def foreseen(error: BaseException) -> HeadwayError | None:
    """Return what to say of an error that this machine's limits account for; None where it is a bug."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(foreseen, error.exceptions)), None)
    if isinstance(error, MemoryError):
        return ShortageError("memory")
    # threading has no kind of its own for it; CPython says so in these words.
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        return ShortageError("threads")
    if isinstance(error, OSError) and error.errno in NO_MORE_FILES:
        return ShortageError("open files")
    # What is imported late may be a library, of which the linker says no more than this.
    if isinstance(error, ImportError) and str(error).endswith(tuple(map(os.strerror, NO_MORE_FILES))):
        return ShortageError("open files")
    return None


def bug_logged(bug: BaseException) -> str:
    """Write a bug down, and return the sentence that says so and nothing of the inside."""
    name = secrets.token_hex(6)
    log.error("bug %s: %s", name, type(bug).__name__, exc_info=bug)
    return f"this is a bug in Headway, logged as {name}"
