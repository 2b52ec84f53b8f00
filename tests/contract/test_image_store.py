"""Images by ID: the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.interfaces.images import ImageStore
from headway.store.database import Database
from headway.store.images import SqliteImageStore
from tests.contract.image_store_contract import ImageStoreContract, image, image_id
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


def test_no_question_about_one_image_reads_all_of_them(tmp_path: Path) -> None:
    with Database.open(tmp_path / "headway.db") as database:
        store = SqliteImageStore(database)
        store.put(image("a"))
        plans = [
            "SELECT * FROM images WHERE image_id = ?",
            "SELECT image_id FROM images WHERE image_id >= ? AND image_id < ? ORDER BY image_id LIMIT 2",
            "SELECT spelling FROM names WHERE image_id = ? ORDER BY spelling",
            "SELECT image_id FROM names WHERE spelling = ?",
        ]

        asked = [(f"EXPLAIN QUERY PLAN {plan}", (image_id("a"),) * plan.count("?")) for plan in plans]
        steps = [step[3] for question, values in asked for step in database.query(question, values)]

    assert all(step.startswith("SEARCH") for step in steps), steps
