"""The format of the record log (`record_log`).

The first line names the schema of the rows. ``["+", table, row]`` is a row that was added or changed, ``["-", table,
key]`` a row that was deleted, and ``["=", n]`` ends change number n.

Rule: reading never fails. A line that is torn or unknown is skipped, for the others may be all that is left.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

FORMAT = 1
"""Version of the format."""
_LEFT_OUT = frozenset({"meta", "events", "hosts", "addresses", "connection_lives", "traffic", "sqlite_sequence"})
"""Tables that may be lost: history, and what is remembered of registries."""
ROW, GONE, CHANGE = b'["+","%s",%s]\n', b'["-","%s",%s]\n', b'["=",%d]\n'
"""The kinds of lines; rows and keys are JSON."""
_TAIL_BYTES = 256

Rows = dict[str, dict[tuple[object, ...], list[object]]]
"""Rows by their key, by table."""


class Header(msgspec.Struct, frozen=True):
    """The first line.

    Attributes:
        headway: Version of the log's format.
        schema: Version of the schema that the rows have.
        program: Which Headway wrote it.
    """

    headway: int
    schema: int
    program: str


class Columns(msgspec.Struct, frozen=True):
    """The columns of a table.

    Attributes:
        names: All, in order.
        key: Places of those that make the primary key.
    """

    names: tuple[str, ...]
    key: tuple[int, ...]


def tables(connection: sqlite3.Connection) -> dict[str, Columns]:
    """Return the tables that are logged, in the order in which they were made."""
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid").fetchall()
    found = {}
    for (name,) in names:
        if name not in _LEFT_OUT:
            columns = connection.execute(f"PRAGMA table_info({name})").fetchall()
            ranks = sorted((rank, place) for place, *_, rank in columns if rank)
            found[name] = Columns(tuple(column[1] for column in columns), tuple(place for _, place in ranks))
    return found


def unfinished_log(path: Path) -> Path:
    """Return where a log is written that will take the place of the one at `path`."""
    return path.with_name(f"{path.name}.new")


def read_header(path: Path) -> Header | None:
    """Return the first line of a log; None where there is none, or what is there is none.

    Raises:
        OSError: It cannot be read.
    """
    try:
        with open(path, "rb") as file:
            line = file.readline()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(line, type=Header)
    except ValueError:  # no JSON, or no text
        return None


def last_change(path: Path) -> int:
    """Return the number of the last change that a log has; -1 where there is no log, or its end is torn.

    Raises:
        OSError: It cannot be read.
    """
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            tail = file.read()
    except FileNotFoundError:
        return -1
    end = tail.rstrip(b"\n").rpartition(b"\n")[2]
    if tail.endswith(b"\n") and end.startswith(b'["=",'):
        with suppress(ValueError):
            return int(end[5:-1])
    return -1


class Remembered(msgspec.Struct, frozen=True):
    """What a log says.

    Attributes:
        schema: Version of the schema that the rows have.
        change: The number of the last change.
        rows: All rows.
    """

    schema: int
    change: int
    rows: Rows


def read_log(path: Path, columns_of: dict[str, Columns], header: Header) -> Remembered:
    """Return what a log says; a line that is torn or strange is passed over.

    Args:
        path: The file.
        columns_of: The tables of the schema that its header names.
        header: Its header.

    Raises:
        OSError: It cannot be read.
    """
    rows: Rows = {table: {} for table in columns_of}
    change = 0
    with open(path, "rb") as file:
        for line in file:
            with suppress(msgspec.DecodeError, ValueError, KeyError, TypeError):
                match msgspec.json.decode(line):
                    case ["=", int(number)]:
                        change = number
                    case ["+", str(table), list(row)] if len(row) == len(columns_of[table].names):
                        rows[table][_key(columns_of[table], row)] = row
                    case ["-", str(table), list(key)]:
                        rows[table].pop(tuple(key), None)
    return Remembered(header.schema, change, rows)


def _key(columns: Columns, row: Sequence[object]) -> tuple[object, ...]:
    return tuple(row[place] for place in columns.key)
