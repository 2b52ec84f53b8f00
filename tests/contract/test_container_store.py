"""Containers and lasting mounts: the contracts."""

from __future__ import annotations

import pytest

from headway.interfaces.containers import ContainerStore
from headway.interfaces.rw_layers import MountTable
from headway.store.containers.containers import SqliteContainerStore
from headway.store.containers.mounts import SqliteMountTable
from headway.store.database.database import Database
from tests.contract.container_store_contract import ContainerStoreContract, MountTableContract
from tests.fakes.containers import MemoryContainerStore, MemoryMountTable


class TestSqliteContainers(ContainerStoreContract):
    @pytest.fixture
    def subject(self, database: Database) -> ContainerStore:
        return SqliteContainerStore(database)


class TestMemoryContainers(ContainerStoreContract):
    @pytest.fixture
    def subject(self) -> ContainerStore:
        return MemoryContainerStore()


class TestSqliteMounts(MountTableContract):
    @pytest.fixture
    def subject(self, database: Database) -> MountTable:
        return SqliteMountTable(database)


class TestMemoryMounts(MountTableContract):
    @pytest.fixture
    def subject(self) -> MountTable:
        return MemoryMountTable()
