"""Images by ID: the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.interfaces.images import ImageStore
from headway.store.database.database import Database
from headway.store.images import SqliteImageStore
from tests.contract.image_store_contract import ImageStoreContract
from tests.fakes.memory import MemoryImageStore


class TestSqliteImages(ImageStoreContract):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> Iterator[ImageStore]:
        with Database.open(tmp_path / "headway.db") as database:
            yield SqliteImageStore(database)


class TestMemoryImages(ImageStoreContract):
    @pytest.fixture
    def subject(self) -> ImageStore:
        return MemoryImageStore()


def test_the_images_of_an_absent_data_root_are_none(tmp_path: Path) -> None:
    with Database.open_readonly(tmp_path / "absent" / "headway.db") as database:
        store = SqliteImageStore(database)

        assert (store.list(), store.count(), store.search("a")) == ([], 0, [])
