"""What crosses the network is counted for whom and what it crosses, and kept."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from headway.errors import StoreFullError
from headway.interfaces.traffic import Errand, Traffic, TrafficStore, on_errand
from headway.registry.meter import Meter
from headway.service.concurrency.executors import Executors
from headway.service.transfers import traffic
from headway.service.transfers.traffic import TrafficLedger
from headway.store.database.database import Database
from headway.store.traffic import SqliteTraffic
from tests.fakes.traffic import MemoryTraffic

APP, BASE = Errand("reg.example", "reg.example/app:1"), Errand("mirror.example", "alpine:3")
NOON = 1_767_355_200.0  # 2026-01-02T12:00:00Z


class TrafficStoreContract:
    """Give `subject`, an empty `TrafficStore` that keeps three days."""

    def test_sums_grow(self, subject: TrafficStore) -> None:
        subject.add("2026-01-01", {APP: Traffic(received=10, useful=7, reused=1)})
        subject.add("2026-01-01", {APP: Traffic(received=5, useful=5), BASE: Traffic(received=1)})

        (base, app) = subject.days()

        assert (base.errand, app.errand) == (BASE, APP)
        assert app.traffic == Traffic(received=15, useful=12, reused=1)
        assert app.traffic.wasted == 3

    def test_days_are_asked_for_with_both_ends(self, subject: TrafficStore) -> None:
        for day in ("2026-01-03", "2026-01-01", "2026-01-02"):
            subject.add(day, {APP: Traffic(received=1)})

        assert [row.day for row in subject.days()] == ["2026-01-01", "2026-01-02", "2026-01-03"]
        assert [row.day for row in subject.days(since="2026-01-02")] == ["2026-01-02", "2026-01-03"]
        assert [row.day for row in subject.days(until="2026-01-02")] == ["2026-01-01", "2026-01-02"]
        assert [row.day for row in subject.days("2026-01-02", "2026-01-02")] == ["2026-01-02"]

    def test_old_days_go(self, subject: TrafficStore) -> None:
        for day in range(1, 6):
            subject.add(f"2026-01-0{day}", {APP: Traffic(received=1), BASE: Traffic(received=1)})

        assert [row.day for row in subject.days()] == [f"2026-01-0{day}" for day in (3, 3, 4, 4, 5, 5)]


class TestSqliteTraffic(TrafficStoreContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Iterator[TrafficStore]:
        with Database.open(tmp_path / "headway.db") as database:
            yield SqliteTraffic(database, history=3)


class TestMemoryTraffic(TrafficStoreContract):
    @pytest.fixture
    def subject(self) -> TrafficStore:
        return MemoryTraffic(history=3)


def ledger(meter: Meter, store: TrafficStore) -> TrafficLedger:
    return TrafficLedger(meter, store, Executors(), lambda: NOON)


def test_bytes_count_for_the_errand_that_they_came_on() -> None:
    meter, store = Meter(), MemoryTraffic()

    with on_errand(image="reg.example/app:1"):
        meter.received(1)
        with on_errand(registry="reg.example"):
            meter.answered(200)
            meter.received(1_000)
            meter.useful(900)
    ledger(meter, store).write()

    assert {(row.day, row.errand): row.traffic for row in store.days()} == {
        ("2026-01-02", Errand("", "reg.example/app:1")): Traffic(received=1),
        ("2026-01-02", APP): Traffic(received=1_200, useful=900),
    }
    assert meter.received_bytes == 1_201


def test_nothing_is_no_traffic() -> None:
    meter, store = Meter(), MemoryTraffic()

    with on_errand(registry="reg.example", image="reg.example/app:1"):
        meter.reused(0)
        meter.useful(0)
    ledger(meter, store).write()

    assert (meter.has_counted, store.days()) == (False, [])


async def test_who_has_counted_nothing_wakes_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "WRITE_SECONDS", 0.01)
    meter, store, executors = Meter(), MemoryTraffic(), Executors()
    asked: list[object] = []

    async def database(work: Callable[..., None]) -> None:
        asked.append(work)
        work()

    monkeypatch.setattr(executors, "database", database)
    async with TrafficLedger(meter, store, executors, lambda: NOON).group():
        await asyncio.sleep(0.1)
        while_idle = len(asked)
        with on_errand(registry="reg.example", image="reg.example/app:1"):
            meter.received(10)
        await asyncio.sleep(0.1)

    assert (while_idle, len(asked)) == (0, 1)
    assert [row.traffic.received for row in store.days()] == [10]


def test_what_a_full_disk_refuses_is_written_down_later_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    class Full(MemoryTraffic):
        is_full = True

        def add(self, day: str, counted: object) -> None:
            if self.is_full:
                raise StoreFullError("disk")
            super().add(day, counted)  # type: ignore[arg-type]  # whatever was given

    meter, store = Meter(), Full()
    work = ledger(meter, store)

    with on_errand(registry="reg.example", image="reg.example/app:1"):
        meter.received(10)
        work.write()
        work.write()
        meter.received(5)
        store.is_full = False
        work.write()
        assert len(caplog.messages) == 1

        meter.received(1)
        store.is_full = True
        work.write()

    assert [row.traffic.received for row in store.days()] == [15]
    assert len(caplog.messages) == 2


def test_a_day_that_has_begun_is_added_to_without_reading_the_others(tmp_path: Path) -> None:
    with Database.open(tmp_path / "headway.db") as database:
        store = SqliteTraffic(database)
        store.add("2026-01-01", {APP: Traffic(received=1)})
        asked: list[str] = []
        database._connection.set_trace_callback(asked.append)
        store.add("2026-01-01", {APP: Traffic(received=1)})

        plans = [database.query(f"EXPLAIN QUERY PLAN {sql}") for sql in asked if sql.split()[0] in {"SELECT", "DELETE"}]

    assert len(plans) == 1
    assert not [step for plan in plans for *_, step in plan if step.startswith("SCAN")]


def test_what_is_being_written_is_not_written_again_beside_that() -> None:
    meter, begun = Meter(), threading.Event()

    class Slow(MemoryTraffic):
        def add(self, day: str, counted: Mapping[Errand, Traffic]) -> None:
            begun.set()
            time.sleep(0.1)
            super().add(day, counted)

    store = Slow()
    subject = ledger(meter, store)
    with on_errand(registry="reg.example"):
        meter.received(1_000)
    left_behind = threading.Thread(target=subject.write)
    left_behind.start()
    begun.wait(10)
    subject.write()
    left_behind.join(10)

    assert [row.traffic.received for row in store.days()] == [1_000]
