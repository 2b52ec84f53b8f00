"""Which registries have answered, and where hosts were found: on disk and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from headway.distribution.connection_lives import Life
from headway.interfaces.images import HostMemory
from headway.store.database.database import Database
from headway.store.hosts import SqliteHostMemory
from tests.fakes.memory import MemoryHosts


@pytest.fixture(params=["sqlite", "memory"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HostMemory]:
    with ExitStack() as stack:
        if request.param == "memory":
            yield MemoryHosts()
        else:
            yield SqliteHostMemory(stack.enter_context(Database.open(tmp_path / "headway.db")))


def test_who_has_answered_is_known_from_then_on(subject: HostMemory) -> None:
    subject.answered("r:5000")
    subject.answered("r:5000")

    assert (subject.has_answered("r:5000"), subject.has_answered("r")) == (True, False)


def test_addresses_take_the_place_of_those_of_the_same_host(subject: HostMemory) -> None:
    subject.found({"r": ["192.0.2.1", "2001:db8::1"], "q": ["192.0.2.5"]})
    subject.found({})
    subject.found({"r": ["192.0.2.2"]})

    assert {host: tuple(good) for host, good in subject.addresses().items()} == {
        "r": ("192.0.2.2",),
        "q": ("192.0.2.5",),
    }


def test_how_far_connections_carry_is_replaced_by_host(subject: HostMemory) -> None:
    subject.lived({"r": Life(5, 10, 1.5), "q": Life(0, 3, 2.0)})
    subject.lived({})
    subject.lived({"r": Life(4, 10, 3.0)})

    assert dict(subject.lives()) == {"r": Life(4, 10, 3.0), "q": Life(0, 3, 2.0)}


def test_nothing_is_known_at_the_start(subject: HostMemory) -> None:
    assert (subject.has_answered("r"), dict(subject.addresses()), dict(subject.lives())) == (False, {}, {})


def test_what_was_found_outlives_the_process(tmp_path: Path) -> None:
    with Database.open(tmp_path / "headway.db") as database:
        SqliteHostMemory(database).found({"r": ["192.0.2.1"]})
    with Database.open(tmp_path / "headway.db") as database:
        assert SqliteHostMemory(database).addresses() == {"r": ("192.0.2.1",)}
