"""Records of pulls: the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.interfaces.pulls import PullStore
from headway.store.database.database import Database
from headway.store.pulls import SqlitePullStore
from tests.contract.pull_store_contract import HISTORY, PullStoreContract, record
from tests.fakes.pulls import MemoryPullStore


class TestSqlitePulls(PullStoreContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Iterator[PullStore]:
        with Database.open(tmp_path / "headway.db") as database:
            yield SqlitePullStore(database, history=HISTORY)


class TestMemoryPulls(PullStoreContract):
    @pytest.fixture
    def subject(self) -> PullStore:
        return MemoryPullStore(history=HISTORY)


def test_pulls_survive_the_process(tmp_path: Path) -> None:
    with Database.open(tmp_path / "headway.db") as database:
        SqlitePullStore(database).put(record(1))

    with Database.open_readonly(tmp_path / "headway.db") as database:
        assert SqlitePullStore(database).list() == [record(1)]


def test_no_put_and_no_get_reads_every_pull(tmp_path: Path) -> None:
    with Database.open(tmp_path / "headway.db") as database:
        store = SqlitePullStore(database)
        asked: list[str] = []
        database._connection.set_trace_callback(asked.append)
        store.put(record(1))
        store.get("0000")

        plans = [database.query(f"EXPLAIN QUERY PLAN {sql}") for sql in asked if sql.split()[0] in {"SELECT", "DELETE"}]

    assert len(plans) == 1
    assert not [step for plan in plans for *_, step in plan if step.startswith("SCAN")]
