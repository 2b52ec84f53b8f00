"""Records of pulls: the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.interfaces.pulls import PullStore
from headway.store.database import Database
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
