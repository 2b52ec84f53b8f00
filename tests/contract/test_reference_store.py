"""Names of images: the contract."""

from __future__ import annotations

from contextlib import suppress

import pytest

from headway.interfaces.images import ImageStore, ReferenceStore
from headway.store.database.database import Database
from headway.store.images import SqliteImageStore
from headway.store.references import SqliteReferenceStore
from tests.contract.image_store_contract import image, image_id
from tests.contract.reference_store_contract import ReferenceStoreContract, name
from tests.fakes.memory import MemoryImageStore, MemoryReferenceStore


class TestSqliteReferences(ReferenceStoreContract):
    @pytest.fixture
    def images(self, database: Database) -> ImageStore:
        return SqliteImageStore(database)

    @pytest.fixture
    def subject(self, database: Database) -> ReferenceStore:
        return SqliteReferenceStore(database)


class TestMemoryReferences(ReferenceStoreContract):
    @pytest.fixture
    def images(self) -> MemoryImageStore:
        return MemoryImageStore()

    @pytest.fixture
    def subject(self, images: MemoryImageStore) -> ReferenceStore:
        return MemoryReferenceStore(images)


def test_the_records_of_a_pull_are_there_together_or_not_at_all(database: Database) -> None:
    images, references = SqliteImageStore(database), SqliteReferenceStore(database)

    with suppress(ZeroDivisionError), database.transaction():
        images.put(image("a"))
        references.put_tag(name("alpine:3"), image_id("a"))
        raise ZeroDivisionError

    assert (images.list(), references.list()) == ([], [])
