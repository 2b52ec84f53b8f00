"""The database: transactions, versions, readers, and disks that fail."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from headway.errors import StoreCorruptError, StoreError, StoreFullError, StoreReadOnlyError, StoreTooNewError
from headway.store.database.database import Database
from headway.store.database.schema import MIGRATIONS

FIRST = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT); CREATE TABLE things (name TEXT);"
SECOND = "ALTER TABLE things ADD COLUMN colour TEXT; UPDATE things SET colour = 'red';"


def open_first(path: Path) -> Database:
    return Database.open(path, program="0.1.0", migrations=[FIRST])


def add(database: Database, name: str) -> None:
    database.execute("INSERT INTO things (name) VALUES (?)", (name,))


def names(database: Database) -> list[str]:
    return [name for (name,) in database.query("SELECT name FROM things ORDER BY rowid")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "headway.db"


def add_and_fail(database: Database, name: str) -> None:
    with database.transaction():
        add(database, name)
        raise ZeroDivisionError


def test_a_transaction_is_recorded_whole(path: Path) -> None:
    with open_first(path) as database:
        with database.transaction():
            add(database, "one")
            add(database, "two")

        with pytest.raises(ZeroDivisionError):
            add_and_fail(database, "three")

        assert names(database) == ["one", "two"]


def test_a_nested_transaction_is_part_of_the_outer_one(path: Path) -> None:
    with open_first(path) as database:
        with suppress(ZeroDivisionError), database.transaction():
            with database.transaction():
                add(database, "inner")
            raise ZeroDivisionError

        assert names(database) == []
        assert not database.in_transaction


def test_a_nested_transaction_that_fails_leaves_the_rest_of_the_outer_one(path: Path) -> None:
    with open_first(path) as database:
        with database.transaction():
            add(database, "before")
            with pytest.raises(ZeroDivisionError):
                add_and_fail(database, "inner")
            add(database, "after")

        assert names(database) == ["before", "after"]


def test_threads_do_not_see_into_each_others_transactions(path: Path) -> None:
    seen: list[list[str]] = []
    with open_first(path) as database:
        thread = Thread(target=lambda: seen.append(names(database)))
        with database.transaction():
            add(database, "one")
            thread.start()
            add(database, "two")
        thread.join()

    assert seen == [["one", "two"]]


def test_what_was_committed_survives_a_kill(path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from headway.store.database.database import Database;"
        f"database = Database.open(Path(sys.argv[1]), migrations=[{FIRST!r}]);"
        "database.execute('INSERT INTO things VALUES (?)', ('kept',));"
        "database._connection.execute('BEGIN'); database.execute('INSERT INTO things VALUES (?)', ('lost',));"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)

    with open_first(path) as database:
        assert names(database) == ["kept"]


def test_an_older_schema_is_copied_and_migrated(path: Path) -> None:
    with open_first(path) as database:
        add(database, "one")

    with Database.open(path, program="0.2.0", migrations=[FIRST, SECOND]) as database:
        migrated = database.query("SELECT name, colour FROM things")

    with open_first(path.with_name("headway.db.v1")) as copy:
        assert names(copy) == ["one"]
    assert migrated == [("one", "red")]


def test_a_migration_that_fails_leaves_the_old_schema(path: Path) -> None:
    with open_first(path) as database:
        add(database, "one")

    with pytest.raises(StoreError):
        Database.open(path, program="0.2.0", migrations=[FIRST, SECOND + "INSERT INTO nothing VALUES (1);"])

    with open_first(path) as database:
        assert names(database) == ["one"]


@pytest.mark.parametrize("open_it", [Database.open, Database.open_readonly])
def test_a_schema_from_the_future_is_left_alone_and_says_who_made_it(
    path: Path, open_it: Callable[..., Database]
) -> None:
    with Database.open(path, program="7.3.1", migrations=[FIRST, SECOND]):
        pass

    with pytest.raises(StoreTooNewError, match=r"made by Headway 7\.3\.1 \(schema 2\).*0\.1\.0"):
        open_it(path, program="0.1.0", migrations=[FIRST])


def test_every_migration_runs_on_an_empty_database(path: Path) -> None:
    with Database.open(path, program="0.1.0") as database:
        (version,) = database.query("PRAGMA user_version")[0]
        (mode,) = database.query("PRAGMA journal_mode")[0]
        (synchronous,) = database.query("PRAGMA synchronous")[0]

    assert (version, mode, synchronous) == (len(MIGRATIONS), "wal", 2)


# --- readers ----------------------------------------------------------------------------------------------------


def test_a_reader_finds_an_absent_database_empty_and_makes_nothing(path: Path) -> None:
    with Database.open_readonly(path) as database:
        assert database.query("SELECT * FROM images") == []

    assert not path.exists()


def test_a_reader_sees_what_a_writer_commits_meanwhile(path: Path) -> None:
    with open_first(path) as writer, Database.open_readonly(path, migrations=[FIRST]) as reader:
        add(writer, "one")

        assert names(reader) == ["one"]


def test_a_reader_cannot_write(path: Path) -> None:
    with open_first(path):
        pass

    with Database.open_readonly(path, migrations=[FIRST]) as reader, pytest.raises(StoreReadOnlyError):
        add(reader, "one")


def test_a_reader_reads_an_older_schema_without_touching_it(path: Path) -> None:
    with open_first(path) as database:
        add(database, "one")
    before = path.read_bytes()

    with Database.open_readonly(path, migrations=[FIRST, SECOND]) as reader:
        found = reader.query("SELECT name, colour FROM things")

    assert found == [("one", "red")]
    assert path.read_bytes() == before


def test_what_is_no_text_is_in_no_record(path: Path) -> None:
    with open_first(path) as database:
        add(database, "one")

        assert database.query("SELECT name FROM things WHERE name = ?", (os.fsdecode(b"\xff"),)) == []


def test_names_with_every_character_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode("100% sure? yes#1 é".encode() + b"\xff") / "headway.db"  # which is no text
    path.parent.mkdir()
    with open_first(path) as database:
        add(database, "one")

    with Database.open_readonly(path, migrations=[FIRST]) as reader:
        assert names(reader) == ["one"]
    assert path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_read_only_file_system_can_be_read(small_disk: Path) -> None:
    path = small_disk / "headway.db"
    with open_first(path) as database:
        add(database, "one")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    with Database.open_readonly(path, migrations=[FIRST]) as reader:
        found = names(reader)

    assert found == ["one"]
    with pytest.raises(StoreReadOnlyError):
        Database.open(path, migrations=[FIRST, SECOND])


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_on_a_disk_that_became_read_only_under_a_writer_its_last_commits_are_read(
    small_disk: Path, tmp_path: Path
) -> None:
    with open_first(tmp_path / "headway.db") as database:
        add(database, "in the log only")
        for file in tmp_path.glob("headway.db*"):
            shutil.copy(file, small_disk)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    with Database.open_readonly(small_disk / "headway.db", migrations=[FIRST]) as reader:
        found = names(reader)

    assert found == ["in the log only"]


# --- failures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("open_it", [Database.open, Database.open_readonly])
def test_a_damaged_database_is_named(path: Path, open_it: Callable[..., Database]) -> None:
    path.write_bytes(b"this is not a database, and longer than a header: " * 100)

    with pytest.raises(StoreCorruptError, match=str(path)):
        open_it(path)


@pytest.mark.parametrize(
    "sql", ["INSERT INTO others VALUES (1)", "INSERT INTO things (mane) VALUES (1)", "UPDATE things SET mane = 1"]
)
def test_a_schema_that_lacks_what_is_written_is_damaged(path: Path, sql: str) -> None:
    with open_first(path) as database, pytest.raises(StoreCorruptError, match="is damaged: "):
        database.execute(sql)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_full_disk_undoes_the_transaction_and_the_database_goes_on(small_disk: Path) -> None:
    with open_first(small_disk / "headway.db") as database:
        with pytest.raises(StoreFullError), database.transaction():
            add(database, "x" * 1_000_000)
        add(database, "small")

        assert names(database) == ["small"]


def test_a_refusal_by_a_constraint_is_left_to_the_caller(path: Path) -> None:
    with Database.open(path) as database, pytest.raises(sqlite3.IntegrityError):
        database.execute("INSERT INTO names VALUES ('a', 'b', 'tag', 'sha256:0')")


def test_a_directory_that_is_absent_is_an_error_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Database.open(tmp_path / "absent" / "headway.db")


def test_reading_everything_keeps_nothing(path: Path) -> None:
    with open_first(path) as database:
        with database.transaction():
            for number in range(500):
                add(database, f"{number}" + "x" * 10_000)
        tracemalloc.start()
        try:
            database.read_all()
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert most < 1_000_000
