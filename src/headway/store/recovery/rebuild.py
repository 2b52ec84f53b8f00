"""Opens the database to write, and rebuilds one that is lost, damaged or out of date.

Rule 1: nothing is taken for garbage because the database does not know it: records come from the log beside it first.
Rule 2: what was damaged is kept beside the new one (``headway.db.damaged``), until the next time.
Rule 3: the new one takes its place when it is whole: a crash meanwhile begins again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from headway.errors import StoreCorruptError, StoreError
from headway.paths import is_there
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.database.failures import database_errors, faults_in, read_all
from headway.store.database.record_format import (
    FORMAT,
    Columns,
    Remembered,
    Rows,
    last_change,
    read_header,
    read_log,
    tables,
    unfinished_log,
)
from headway.store.database.record_log import counted
from headway.store.database.schema import MIGRATIONS
from headway.store.durable import fsync_directory, fsync_file
from headway.store.failures import disk_errors
from headway.store.recovery.read_back import read_back


def open_whole(root: DataRoot, *, program: str, tell: Callable[[str], None], from_nothing: bool = False) -> Database:
    """Open or create the database of a data root; the lock is held.

    Args:
        root: The data root.
        program: This program's version.
        tell: Takes a sentence about what had to be rebuilt.
        from_nothing: Whether one that cannot be rebuilt is begun anew, for the caller to fill from what lies on disk;
            one that only an exact look finds damaged is rebuilt then, too.

    Raises:
        StoreCorruptError: It cannot be used, and there is nothing that it could be rebuilt from.
        StoreError: A newer program made it, or the disk failed.
    """
    with disk_errors(root.path):
        _drop_unfinished(root)
        has_log = is_there(root.record_log)
    fault = _fault(root) or (_hidden_fault(root) if from_nothing and has_log else "")
    if fault and from_nothing and not has_log:
        with disk_errors(root.database):
            _set_aside(root)
        tell(f"{fault}, and so was {root.record_log.name}")
    elif fault:
        count = _rebuild(root, fault)
        tell(f"{fault}; it was rebuilt with {count:,} records from {root.record_log.name}")
    database = Database.open(root.database, program=program)
    database.log_to(root.record_log, program)
    return database


def _fault(root: DataRoot) -> str:
    """Return why the database is not to be used; nothing where it is, or where there is nothing yet."""
    if root.has_lost_database():
        return f"the database {root.database} was gone"
    with disk_errors(root.database):
        if not is_there(root.database):
            return ""
    try:
        with database_errors(root.database), closing(sqlite3.connect(root.database)) as connection:
            ((found,),) = connection.execute("PRAGMA quick_check(1)").fetchall()
            change = counted(connection)
    except StoreCorruptError as error:
        return str(error)
    for fault in faults_in(found):
        return f"{root.database} was damaged: {fault}"
    with disk_errors(root.record_log):
        is_older = change < last_change(root.record_log)
    return f"{root.database} was older than the rest of the store" if is_older else ""


def _hidden_fault(root: DataRoot) -> str:
    """Return what is wrong that ``quick_check`` does not see.

    That is: indexes that miss a row, rows that name none, text that is none or not what was written.
    """
    try:
        with database_errors(root.database), closing(sqlite3.connect(root.database)) as connection:
            ((found,),) = connection.execute("PRAGMA integrity_check(1)").fetchall()
            is_torn = connection.execute("PRAGMA foreign_key_check").fetchone() is not None
            read_all(connection)
            if connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS):
                read_back(Database(connection, root.database))
    except StoreCorruptError as error:
        return str(error)
    for fault in faults_in(found):
        return f"{root.database} was damaged: {fault}"
    return f"{root.database} was damaged: rows name others that are not there" if is_torn else ""


def _rebuild(root: DataRoot, fault: str) -> int:
    """Make the database anew from the log; return how many records it has."""
    with disk_errors(root.record_log):
        header = read_header(root.record_log)
    if header is None:
        raise StoreCorruptError(f"{fault}, and there is no {root.record_log.name} to rebuild it from")
    if header.headway > FORMAT or header.schema > len(MIGRATIONS):
        raise StoreError(f"{fault}, and its {root.record_log.name} was written by Headway {header.program}: use that")
    new = _new(root)
    _remove(new)
    with database_errors(new), closing(sqlite3.connect(new, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")  # it is synced when it is whole
        for script in MIGRATIONS[: header.schema]:
            connection.executescript(script)
        columns = tables(connection)
        with disk_errors(root.record_log):
            remembered = read_log(root.record_log, columns, header)
        count = _fill(connection, columns, remembered)
    with disk_errors(root.database):
        fsync_file(new)
        _set_aside(root)
        os.rename(new, root.database)
        fsync_directory(root.path)
    return count


def _fill(connection: sqlite3.Connection, columns: dict[str, Columns], remembered: Remembered) -> int:
    rows = remembered.rows
    _drop_orphans(connection, columns, rows)
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("BEGIN")
    count = 0
    for table, found in rows.items():
        places = ", ".join("?" * len(columns[table].names))
        sql = f"INSERT OR REPLACE INTO {table} VALUES ({places})"  # noqa: S608  # names of our own schema
        for row in found.values():
            # A bit of the log has changed: the schema knows no such row, or SQLite no such number.
            with suppress(sqlite3.IntegrityError, OverflowError):
                connection.execute(sql, row)
                count += 1
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('changes', ?)", (str(remembered.change),))
    connection.execute(f"PRAGMA user_version={remembered.schema}")
    connection.execute("COMMIT")
    return count


def _drop_orphans(connection: sqlite3.Connection, columns: dict[str, Columns], rows: Rows) -> None:
    """Drop rows that name others that are not there: the log was torn between them."""
    links = [
        (table, columns[table].names.index(column), parent, on_delete)
        for table in rows
        for _, _, parent, column, _, _, on_delete, _ in connection.execute(f"PRAGMA foreign_key_list({table})")
    ]
    is_changed = True
    while is_changed:
        is_changed = False
        for table, place, parent, on_delete in links:
            orphans = {
                key for key, row in rows[table].items() if row[place] is not None and (row[place],) not in rows[parent]
            }
            is_changed = is_changed or bool(orphans)
            for key in orphans:
                if on_delete == "SET NULL":
                    rows[table][key][place] = None
                else:
                    del rows[table][key]


def _new(root: DataRoot) -> Path:
    return root.database.with_name(f"{root.database.name}.new")


def _drop_unfinished(root: DataRoot) -> None:
    """Remove what a rebuilding, or a log that was written anew, has left where it was cut short."""
    _remove(_new(root))
    unfinished_log(root.record_log).unlink(missing_ok=True)


def _set_aside(root: DataRoot) -> None:
    if is_there(root.database):
        os.rename(root.database, root.database.with_name(f"{root.database.name}.damaged"))
    _remove(root.database)


def _remove(path: Path) -> None:
    """Remove a database with what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            os.unlink(path.with_name(path.name + suffix))
