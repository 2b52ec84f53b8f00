"""What happened: the contract."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from headway.interfaces.events import EventLog
from headway.store.database.database import Database
from headway.store.events import SqliteEventLog
from tests.contract.event_log_contract import HISTORY, EventLogContract, tell
from tests.fakes.events import MemoryEventLog


class TestSqliteEvents(EventLogContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Iterator[EventLog]:
        with Database.open(tmp_path / "headway.db") as database:
            yield SqliteEventLog(database, history=HISTORY)


class TestMemoryEvents(EventLogContract):
    @pytest.fixture
    def subject(self) -> EventLog:
        return MemoryEventLog(history=HISTORY)


def test_an_event_of_a_change_that_is_undone_never_was(tmp_path: Path) -> None:
    with Database.open(tmp_path / "headway.db") as database:
        log = SqliteEventLog(database)
        tell(log, 0)

        with suppress(ZeroDivisionError), database.transaction():
            tell(log, 1)
            raise ZeroDivisionError
        after = tell(log, 2)

        assert [event.actor for event in log.behind(0)] == ["image-0", "image-2"]
        assert after.sequence == 2


def test_an_event_that_waits_for_others_is_no_older_than_they(tmp_path: Path) -> None:
    """Who listened until some time, and asks for what was behind it, misses nothing."""
    asked = threading.Event()

    def clock() -> int:
        asked.set()
        return 2_000

    with Database.open(tmp_path / "headway.db") as database, ThreadPoolExecutor() as threads:
        log = SqliteEventLog(database)
        with database.transaction():
            waiting = threads.submit(log.append, clock, "image", "tag", "later", {})
            was_asked = asked.wait(0.1)
            tell(log, 1)

        assert (was_asked, waiting.result().sequence) == (False, 2)


def test_events_survive_the_process(tmp_path: Path) -> None:
    with Database.open(tmp_path / "headway.db") as database:
        told = tell(SqliteEventLog(database), 0)

    with Database.open_readonly(tmp_path / "headway.db") as database:
        assert SqliteEventLog(database).behind(0) == [told]
