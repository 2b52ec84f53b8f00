"""Translates what SQLite raises into Headway's errors.

Rule: no `sqlite3.Error` leaves the store, except for a violated constraint, which the caller expects and handles, and
misuse, which is a bug.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TypeVar

from headway.errors import (
    RequestError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)

Row = TypeVar("Row")
Record = TypeVar("Record")

_ROOM_BYTES = 64 * 1024  # for the files beside the database
_NO_TEXT = "Could not decode to UTF-8"  # the module's own words, without a code
_LACKING = ("no such table", "no such column", "has no column named")  # its words, which have no code of their own
_NO_ROOM_BESIDE = (sqlite3.SQLITE_IOERR_SHMSIZE,)


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Translate what SQLite raises in the body, except refusals by a constraint and misuse.

    Raises:
        StoreFullError: No space left.
        StoreReadOnlyError: It cannot be written.
        StoreCorruptError: It is damaged, or no database.
        StoreBusyError: Another process has locked it.
        StoreError: Anything else.
    """
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise
    except UnicodeDecodeError as error:  # of what SQLite says about a damaged schema
        raise StoreCorruptError(f"{path} is damaged: it holds what is no text") from error
    except sqlite3.Error as error:
        raise _translated(error, path) from error


def reads_a_row(what: str) -> Callable[[Callable[[Row], Record]], Callable[[Row], Record]]:
    """Let a function that reads a row back say what it could not read.

    SQLite gives text as it is, though a bit of it has changed. Its kind is in a bit, too: what was text may come back
    as a number, or as bytes.

    Args:
        what: What the row is.

    Raises:
        StoreCorruptError: From the function: the row is not what was written.
    """

    def saying(read: Callable[[Row], Record]) -> Callable[[Row], Record]:
        @wraps(read)
        def reading(row: Row) -> Record:  # no context manager: ten thousand images are read at once
            try:
                return read(row)
            except (ValueError, TypeError, AttributeError, RequestError) as error:
                raise StoreCorruptError(f"the database is damaged: {what} cannot be read: {error}") from error

        return reading

    return saying


def _translated(error: sqlite3.Error, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0)
    match code & 0xFF:
        case sqlite3.SQLITE_FULL:
            return StoreFullError(str(path))
        # No room for the files beside it, for which SQLite has no word of its own.
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN if code in _NO_ROOM_BESIDE or is_disk_full(path):
            return StoreFullError(str(path))
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return StoreReadOnlyError(f"cannot use {path}: {error}")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreCorruptError(f"{path} is damaged: {error}")
        case sqlite3.SQLITE_ERROR if any(words in str(error) for words in _LACKING):  # of our own schema
            return StoreCorruptError(f"{path} is damaged: {error}")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusyError(str(path), 0)
    return (StoreCorruptError if str(error).startswith(_NO_TEXT) else StoreError)(f"{path}: {error}")


def read_all(connection: sqlite3.Connection) -> None:
    """Read every row of every table, one after the other: SQLite's own checks let pass text that is none.

    Raises:
        sqlite3.Error: Some cannot be read.
        StoreCorruptError: There are bytes in one, which nobody writes: it is one bit that tells text from them.
    """
    for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        for row in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608  # names of our own schema
            if bytes in map(type, row):
                raise StoreCorruptError(f"the database is damaged: a row of {table} cannot be read: bytes, not text")


def faults_in(found: str) -> list[str]:
    """Return what a row of SQLite's own checks says, without the headings; nothing where all is well."""
    return [line for line in found.splitlines() if line != "ok" and not line.startswith("***")]


def is_disk_full(path: Path) -> bool:
    """Tell whether the disk has no room for the files that SQLite keeps beside a database."""
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return False
    # Not f_bfree, though root may use some of that: ext4 counts blocks there that it gives to nobody.
    return found.f_bavail * found.f_frsize < _ROOM_BYTES
