"""The database of a data root: SQLite, with its errors translated.

Rule 1: a commit that has returned survives a power cut (WAL, synchronous=FULL).
Rule 2: all threads share one connection, which a `transaction` holds until it ends.
Rule 3: a reader changes nothing, needs no lock, and works on a read-only file system; an absent database is empty.
Rule 4: the database is copied before its schema is migrated; a schema of a later version is left alone.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any, Self, TypeAlias

from headway.errors import StoreTooNewError
from headway.store.database.failures import database_errors, is_disk_full, read_all
from headway.store.database.record_log import LEAST_BYTES, RecordLog
from headway.store.database.schema import MIGRATIONS
from headway.store.durable import fsync_directory, fsync_file
from headway.store.failures import disk_errors

Value: TypeAlias = str | int | float | None

_BUSY_SECONDS = 5.0
_OUTER = ("BEGIN IMMEDIATE", ("COMMIT",), ("ROLLBACK",))
_NESTED = ("SAVEPOINT nested", ("RELEASE nested",), ("ROLLBACK TO nested", "RELEASE nested"))


class Database:
    """One connection, shared by all threads. Closed by leaving its context."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._lock = RLock()
        self._depth = 0
        self._log: RecordLog | None = None

    @classmethod
    def open(cls, path: Path, *, program: str = "", migrations: Sequence[str] = MIGRATIONS) -> Self:
        """Open or create the database for writing; the caller holds the data root's lock.

        Args:
            path: The file.
            program: This program's version.
            migrations: The scripts that make the schema.

        Raises:
            StoreTooNewError: A newer program made it.
            StoreError: The disk failed.
            StoreCorruptError: It is damaged.
            StoreReadOnlyError: It cannot be written.
        """
        with database_errors(path):
            connection = _connect(f"file:{_quoted(path)}?mode=rwc")
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("PRAGMA foreign_keys=ON")
                version = _known_version(connection, path, program, len(migrations))
                if 0 < version < len(migrations):
                    _copy(connection, path.with_name(f"{path.name}.v{version}"))
                _migrate(connection, version, program, migrations)
            except BaseException:
                connection.close()
                raise
        return cls(connection, path)

    @classmethod
    def open_readonly(cls, path: Path, *, program: str = "", migrations: Sequence[str] = MIGRATIONS) -> Self:
        """Open the database for reading; an absent one is empty, an older one is migrated in memory.

        Args:
            path: The file.
            program: This program's version.
            migrations: The scripts that make the schema.

        Raises:
            StoreTooNewError: A newer program made it.
            StoreError: The disk failed.
            StoreCorruptError: It is damaged.
            StoreReadOnlyError: This user may not read it.
        """
        with database_errors(path), disk_errors(path):
            connection = _connect_reader(path)
            try:
                version = _known_version(connection, path, program, len(migrations))
                if version < len(migrations):
                    connection = _in_memory(connection)
                    _migrate(connection, version, program, migrations)
                connection.execute("PRAGMA query_only=ON")
            except BaseException:
                connection.close()
                raise
        return cls(connection, path)

    def log_to(self, path: Path, program: str, *, least_bytes: int = LEAST_BYTES) -> None:
        """From now on, also write every record into a log (`RecordLog`)."""
        with self._lock, database_errors(self._path):
            self._log = RecordLog(path, self._connection, program, least_bytes=least_bytes)
            self._log.begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit the changes of this thread at the block's end, or none of them if it raises.

        A nested transaction is part of the outer one, and durable when that is. Other threads wait.

        Raises:
            StoreFullError: No space left; nothing was recorded.
            StoreError: The disk failed; nothing was recorded.
        """
        with self._lock, database_errors(self._path):
            begin, commit, undo = _NESTED if self._depth else _OUTER
            self._connection.execute(begin)
            self._depth += 1
            log = self._log
            mark = log.mark if log else 0
            try:
                yield
                if log and self._depth == 1:
                    log.count()
                self._run(commit)
                if log and self._depth == 1:
                    log.flush()
            except BaseException:
                if log:
                    log.undo(mark)
                # On a full disk SQLite has rolled everything back already.
                if self._connection.in_transaction:
                    self._run(undo)
                raise
            finally:
                self._depth -= 1

    def _run(self, statements: Iterable[str]) -> None:
        for statement in statements:
            self._connection.execute(statement)

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside `transaction`."""
        with self._lock:
            return self._depth > 0

    def query(self, sql: str, parameters: Sequence[Value] = ()) -> list[Any]:
        """Return all rows of a query, as tuples; none where it asks for what is no text, which no record holds.

        Raises:
            StoreError: The disk failed, or the database is damaged.
        """
        with self._lock, database_errors(self._path), suppress(UnicodeEncodeError):
            return self._connection.execute(sql, parameters).fetchall()
        return []

    def read_all(self) -> None:
        """Read every row of every table.

        Raises:
            StoreError: The disk failed, or the database is damaged.
        """
        with self._lock, database_errors(self._path):
            read_all(self._connection)

    def execute(self, sql: str, parameters: Sequence[Value] = ()) -> int:
        """Execute a statement that changes rows; return how many it changed.

        Raises:
            sqlite3.IntegrityError: It violates a constraint of the schema; the caller knows what that means.
            StoreError: The disk failed, or the database is damaged.
        """
        with self._lock, database_errors(self._path):
            if self._log and not self._depth:
                with self.transaction():
                    return self._connection.execute(sql, parameters).rowcount
            return self._connection.execute(sql, parameters).rowcount

    def execute_each(self, sql: str, parameters: Iterable[Sequence[Value]]) -> None:
        """Execute a statement with each of `parameters`, inside a transaction; errors are those of `execute`."""
        with self._lock, database_errors(self._path):
            self._connection.executemany(sql, parameters)

    def copy(self) -> Database:
        """Return a copy in memory, which may be changed freely."""
        with self._lock, database_errors(self._path):
            memory = _connect(":memory:")
            self._connection.backup(memory)
            memory.execute("PRAGMA foreign_keys=ON")
        return Database(memory, self._path)

    def close(self) -> None:
        """Close the connection; no call may be running."""
        with self._lock, database_errors(self._path):
            if self._log:
                self._log.close()
            self._connection.close()


def _connect(name: str) -> sqlite3.Connection:
    # No isolation level: a transaction begins where the code says so.
    return sqlite3.connect(name, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _connect_reader(path: Path) -> sqlite3.Connection:
    try:
        os.stat(path)
    except FileNotFoundError:
        return _connect(":memory:")
    with open(path, "rb"):
        pass  # raises PermissionError, which SQLite does not tell from other errors
    connection = _connect(f"file:{_quoted(path)}?mode=ro")
    try:
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        connection.close()
        code = error.sqlite_errorcode & 0xFF
        is_full = code == sqlite3.SQLITE_IOERR and is_disk_full(path) and not _has_unread_log(path)
        if code not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) and not is_full:
            raise
        # WAL needs a shared-memory file, which cannot be made here; so there is no writer either, and it is immutable.
        return _connect(f"file:{_quoted(path)}?mode=ro&immutable=1")
    return connection


def _has_unread_log(path: Path) -> bool:
    """Tell whether a killed writer has left commits in the write-ahead log."""
    try:
        return os.stat(path.with_name(f"{path.name}-wal")).st_size > 0
    except FileNotFoundError:
        return False


def _in_memory(connection: sqlite3.Connection) -> sqlite3.Connection:
    memory = _connect(":memory:")
    connection.backup(memory)
    connection.close()
    return memory


def _quoted(path: Path) -> str:
    """Return `path` quoted for a ``file:`` URI (sqlite.org/uri.html), without the import time of urllib."""
    text = str(path.absolute())
    return text.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _known_version(connection: sqlite3.Connection, path: Path, program: str, known: int) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version <= known:
        return version
    try:
        (maker,) = connection.execute("SELECT value FROM meta WHERE key = 'program'").fetchone()
    except (sqlite3.Error, TypeError):
        maker = "of an unknown version"
    raise StoreTooNewError(
        f"{path} was made by Headway {maker} (schema {version}); this is {program}, which knows schemas up to {known}"
    )


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the whole database, durably; an existing copy, from a migration that was cut short, is replaced."""
    private = target.with_name(f"{target.name}.new")
    with disk_errors(target):
        private.unlink(missing_ok=True)
        copy = sqlite3.connect(private)
        try:
            connection.backup(copy)
        finally:
            copy.close()
        fsync_file(private)
        private.rename(target)
        fsync_directory(target.parent)


def _migrate(connection: sqlite3.Connection, version: int, program: str, migrations: Sequence[str]) -> None:
    """Run the scripts that have not run yet, in one transaction: each further one would sync a slow disk once more."""
    if version == len(migrations):
        return
    try:
        connection.executescript(";\n".join(["BEGIN IMMEDIATE", *migrations[version:]]))
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('program', ?)", (program,))
        connection.execute(f"PRAGMA user_version={len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
