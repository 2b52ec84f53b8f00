"""Disks that tests may fill, and stores that they may use."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.composition.writing import writing
from headway.layers.unpacking.workers import Workers
from headway.service.stores import Stores
from headway.settings import Settings
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from tests.fakes.stores import memory_stores


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB; needs root."""
    target = tmp_path / "small"
    target.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "headway-test", target], check=True)
    try:
        yield target
    finally:
        subprocess.run(["umount", "-l", target], check=True)


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    """An empty data root."""
    root = DataRoot(tmp_path / "root")
    root.create()
    root.make_directories()
    return root


@pytest.fixture
def database(root: DataRoot) -> Iterator[Database]:
    """Its database, open to be written."""
    with Database.open(root.database) as database:
        yield database


@pytest.fixture(params=["memory", "disk"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    """Empty stores, in memory and on disk: what is built on them cannot tell."""
    if request.param == "memory":
        yield memory_stores(tmp_path)
        return
    with writing(Settings(data_root=tmp_path / "root"), pytest.fail) as stores:
        yield stores


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """A worker that is there for all tests; each layer has to ask it by itself."""
    workers = Workers(is_worth_it=True, records=False, worth=1)
    with workers.joined():
        yield workers
