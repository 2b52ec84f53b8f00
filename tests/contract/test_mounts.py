"""Mounts that stay, over a kernel that takes its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from headway.container_records import RwPlace
from headway.errors import ConflictError, NotFoundError
from headway.layers.drivers.vfs import VfsDriver
from headway.records import Tree
from headway.service.containers.mounts import Mounts
from headway.service.images.delete import delete_image
from headway.service.stores import Stores
from tests.fakes.house import add_image


class SlowDriver(VfsDriver):
    """A driver that takes its time before it mounts."""

    def mount(self, trees: Sequence[Tree], target: Path) -> None:
        time.sleep(0.05)
        super().mount(trees, target)

    def mount_rw(self, place: RwPlace, trees: Sequence[Tree]) -> None:
        time.sleep(0.05)
        super().mount_rw(place, trees)


class SlowDrivers:
    """`Drivers` of which there is one, that is slow."""

    def chosen(self) -> SlowDriver:
        return SlowDriver()

    def named(self, _: str) -> SlowDriver:
        return SlowDriver()


class Directories:
    """`MountPoints` that are plain directories."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def here(self) -> str:
        return "here"

    def process_elsewhere(self, place: str) -> int:
        return 0

    def real(self, path: Path) -> Path:
        return path

    @contextmanager
    def prepared(self, target: Path) -> Iterator[None]:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise ConflictError(f"{target} is not empty")
        yield

    def drop(self, target: Path) -> None:
        target.rmdir()

    def bind(self, source: Path, target: Path) -> None:
        raise NotImplementedError


@pytest.fixture
def subject(stores: Stores, tmp_path: Path) -> Mounts:
    add_image(stores, "app:1", layers=["base"])
    slow = msgspec.structs.replace(stores, drivers=SlowDrivers())
    return Mounts(slow, Directories(tmp_path / "mounts"))


def test_what_two_mount_at_once_is_there_until_both_have_given_it_back(subject: Mounts) -> None:
    together = threading.Barrier(2)

    def mount() -> Path:
        together.wait(10)
        return subject.mount("app:1").target

    with ThreadPoolExecutor(2) as two:
        (place,) = {each.result() for each in [two.submit(mount), two.submit(mount)]}

    assert [subject.unmount("app:1").count, place.exists()] == [1, True]
    assert [subject.unmount("app:1").count, place.exists()] == [0, False]


class RemovedMeanwhile(Directories):
    """Mount points of a store that somebody removes the image from, before its mount is recorded."""

    def __init__(self, directory: Path, stores: Stores) -> None:
        super().__init__(directory)
        self._stores = stores

    def here(self) -> str:
        delete_image(self._stores, "app:1")
        return super().here()


def test_an_image_that_is_removed_meanwhile_is_not_mounted(stores: Stores, tmp_path: Path) -> None:
    add_image(stores, "app:1", layers=["base"])
    mounts = Mounts(
        msgspec.structs.replace(stores, drivers=SlowDrivers()), RemovedMeanwhile(tmp_path / "mounts", stores)
    )

    with pytest.raises(NotFoundError):
        mounts.mount("app:1")

    assert stores.mounts.list() == []
