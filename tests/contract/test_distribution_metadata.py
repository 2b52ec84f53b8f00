"""Which blobs hold which layers: the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.interfaces.distribution import DistributionMetadata
from headway.store.database.database import Database
from headway.store.distribution_metadata import SqliteDistributionMetadata
from tests.contract.distribution_metadata_contract import DistributionMetadataContract
from tests.fakes.distribution import MemoryDistributionMetadata


class TestSqliteMetadata(DistributionMetadataContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Iterator[DistributionMetadata]:
        with Database.open(tmp_path / "headway.db") as database:
            yield SqliteDistributionMetadata(database)


class TestMemoryMetadata(DistributionMetadataContract):
    @pytest.fixture
    def subject(self) -> DistributionMetadata:
        return MemoryDistributionMetadata()
