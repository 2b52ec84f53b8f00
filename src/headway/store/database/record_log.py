"""A second copy of the records, as lines of text beside the database, from which a lost or damaged one is rebuilt.

Rule 1: a line is written when its change is committed, and is not synced: the database never knows less than the log,
        but for one that was lost, damaged or put back.
Rule 2: both count changes. Where the database is ahead, the log is written anew; where it is behind, it is not the one
        that was here, and is rebuilt (`rebuild`).
Rule 3: a log that cannot be written costs nobody a change: it is written anew with the next one, or at the next start.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from headway.store.database.record_format import (
    CHANGE,
    FORMAT,
    GONE,
    ROW,
    Columns,
    Header,
    last_change,
    read_header,
    tables,
    unfinished_log,
)
from headway.store.durable import fsync_directory

_GROWTH = 4
LEAST_BYTES = 4 << 20
"""Below that nobody minds how long a log is."""


class RecordLog:
    """The log of one open database.

    Args:
        path: The file.
        connection: The database's.
        program: This program's version.
        least_bytes: How long the log may always be; beyond that, four times as long as it has to be.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, program: str, *, least_bytes: int = LEAST_BYTES
    ) -> None:
        self._path = path
        self._connection = connection
        self._program = program
        self._least_bytes = least_bytes
        self._pending: list[bytes] = []
        self._descriptor = -1
        self._size = 0
        self._base = 0
        self._change = 0
        self._tables = tables(connection)
        connection.create_function("headway_row", 2, self._row)
        connection.create_function("headway_gone", 2, self._gone)
        # Without it INSERT OR REPLACE tells of no row that it removes.
        connection.execute("PRAGMA recursive_triggers=ON")
        for name, columns in self._tables.items():
            _follow(connection, name, columns)

    # --- what changes

    def _row(self, table: str, row: str) -> None:
        self._pending.append(ROW % (table.encode(), row.encode()))

    def _gone(self, table: str, key: str) -> None:
        self._pending.append(GONE % (table.encode(), key.encode()))

    @property
    def mark(self) -> int:
        """How many lines wait."""
        return len(self._pending)

    def undo(self, mark: int) -> None:
        """Forget the lines behind a mark: what they tell of was rolled back."""
        del self._pending[mark:]

    def count(self) -> None:
        """Count the change that is about to be committed, in the database."""
        if self._pending:
            self._connection.execute(
                "INSERT INTO meta VALUES ('changes', '1') ON CONFLICT (key) DO UPDATE SET value = value + 1"
            )
            self._change = counted(self._connection)

    def flush(self) -> None:
        """Write down what was committed."""
        if not self._pending:
            return
        data = b"".join((*self._pending, CHANGE % self._change))
        self._pending.clear()
        if self._descriptor < 0:
            self.begin()  # it could not be written before: there may be room again
            return
        try:
            written = os.write(self._descriptor, data)
        except OSError:
            written = -1
        self._size += len(data)
        if written != len(data):
            self.close()
        elif self._size > max(self._least_bytes, _GROWTH * self._base):
            self.begin(anew=True)

    # --- the file

    def begin(self, *, anew: bool = False) -> None:
        """Make the log agree with the database, and write on from there."""
        self.close()
        with suppress(OSError, sqlite3.Error):
            if anew or not self._agrees():
                self._write_anew()
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            self._size = os.fstat(self._descriptor).st_size
            self._base = self._base or self._size

    def _agrees(self) -> bool:
        header = read_header(self._path)
        (schema,) = self._connection.execute("PRAGMA user_version").fetchone()
        is_same = header is not None and (header.headway, header.schema) == (FORMAT, schema)
        return is_same and last_change(self._path) == counted(self._connection)

    def _write_anew(self) -> None:
        private = unfinished_log(self._path)
        try:
            with open(private, "wb", opener=_private) as file:
                self._write_all(file)
                file.flush()
                os.fsync(file.fileno())
                self._base = file.tell()
            os.rename(private, self._path)
        except BaseException:
            private.unlink(missing_ok=True)  # or it would keep a full disk full
            raise
        fsync_directory(self._path.parent)

    def _write_all(self, file: BinaryIO) -> None:
        schema = self._connection.execute("PRAGMA user_version").fetchone()[0]
        file.write(msgspec.json.encode(Header(FORMAT, schema, self._program)) + b"\n")
        for name, columns in self._tables.items():
            file.writelines(_lines(self._connection, name, columns))
        file.write(CHANGE % counted(self._connection))

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with suppress(OSError):  # rule 3; some file systems tell only now what they could not write
                os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _follow(connection: sqlite3.Connection, table: str, columns: Columns) -> None:
    """Tell of every change of a table; temporary triggers are this connection's own."""
    row = ", ".join(f"NEW.{name}" for name in columns.names)
    key = ", ".join(f"OLD.{columns.names[place]}" for place in columns.key)
    for when in ("INSERT", "UPDATE"):
        connection.execute(
            f"CREATE TEMP TRIGGER log_{table}_{when} AFTER {when} ON main.{table}"
            f" BEGIN SELECT headway_row('{table}', json_array({row})); END"
        )
    connection.execute(
        f"CREATE TEMP TRIGGER log_{table}_DELETE AFTER DELETE ON main.{table}"
        f" BEGIN SELECT headway_gone('{table}', json_array({key})); END"
    )


def _lines(connection: sqlite3.Connection, table: str, columns: Columns) -> Iterator[bytes]:
    sql = f"SELECT json_array({', '.join(columns.names)}) FROM {table}"  # noqa: S608  # names of our own schema
    for (row,) in connection.execute(sql):
        yield ROW % (table.encode(), row.encode())


def counted(connection: sqlite3.Connection) -> int:
    """Return the number of the last change that a database has; 0 where it never counted, or that is no number."""
    try:
        rows = connection.execute("SELECT value FROM meta WHERE key = 'changes'").fetchall()
        return int(rows[0][0]) if rows else 0
    except (sqlite3.OperationalError, ValueError):  # not made yet, or a bit of it has changed
        return 0
