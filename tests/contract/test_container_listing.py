"""Which containers a list shows (moby-behaviour 6.19): of dockerd's answers, those to `docker ps -a` of these three."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from headway.errors import InvalidFilterError, NotFoundError
from headway.service.containers.containers import Containers
from headway.service.containers.listing import ContainerListing
from headway.service.stores import Stores


@pytest.fixture
def listing(stores: Stores) -> ContainerListing:
    containers = Containers(stores)
    alone = {
        "NetworkMode": "none",
        "Binds": ["data:/srv:ro"],
        "Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/m"}],
    }
    containers.create("", name="alone", config='{"Volumes":{"/vol":{}}}', host_config=json.dumps(alone))
    containers.create("", name="plain", host_config='{"Binds":null,"Mounts":[7,{}],"NetworkMode":"default"}')
    containers.create(
        "", name="host", config='{"Healthcheck":{"Test":["CMD","x"]}}', host_config='{"NetworkMode":"host"}'
    )
    containers.create("", name="joined", host_config='{"NetworkMode":"container:plain"}')
    return ContainerListing(stores)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("name", "^/(host|plain)$", "host plain"),
        ("name", "^[[:alpha:]]{5}$", "plain alone"),
        ("health", "none", "joined host plain alone"),
        ("health", "starting", ""),
        ("isolation", "default", "joined host plain alone"),
        ("is-task", "false", "joined host plain alone"),
        ("is-task", "true", ""),
        ("network", "host", "host"),
        ("network", "none", "alone"),
        ("network", "bridge", "plain"),
        ("network", "nope", ""),
        ("volume", "/vol", "alone"),
        ("volume", "data", "alone"),
        ("volume", "/srv", "alone"),
        ("volume", "/tmp", "alone"),
        ("volume", "/m", "alone"),
        ("volume", "ro", ""),
        ("exited", "0", ""),
        ("expose", "80", ""),
        ("publish", "80", ""),
    ],
)
def test_a_filter_lets_through_what_a_container_that_never_ran_is(
    listing: ContainerListing, key: str, value: str, wanted: str
) -> None:
    found = listing.containers({key: [value]}, stopped=True)

    assert " ".join(container.name for container in found) == wanted


@pytest.mark.parametrize(
    ("limit", "wanted"), [(0, ""), (1, "joined"), (2, "joined host"), (9, "joined host plain alone")]
)
def test_a_limit_shows_the_newest_though_they_do_not_run(listing: ContainerListing, limit: int, wanted: str) -> None:
    assert " ".join(container.name for container in listing.containers(limit=limit)) == wanted


def test_an_id_begins_as_that_of_one_container_alone(stores: Stores) -> None:
    heads = iter((0xAB, 0xAC, 0xCD))
    containers = Containers(stores, random=lambda size: bytes([next(heads)]) * size)
    for name in ("one", "two", "three"):
        containers.create("", name=name)
    listing = ContainerListing(stores)

    def shown(*words: str) -> list[str]:
        return [container.name for container in listing.containers({"id": words}, stopped=True)]

    assert (shown("ab"), shown("c", "ac"), shown("a"), shown("")) == (["one"], ["three", "two"], [], [])
    assert (shown(), shown("ab" * 32)) == (["three", "two", "one"], ["one"])


@pytest.mark.parametrize(
    ("key", "value"), [("health", "x"), ("exited", "x"), ("is-task", "x"), ("status", "x"), ("name", "(")]
)
def test_a_value_that_a_filter_cannot_have_is_refused(listing: ContainerListing, key: str, value: str) -> None:
    with pytest.raises(InvalidFilterError):
        listing.containers({key: [value]})


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("key", ["before", "since"])
def test_a_bound_that_is_no_container_is_told_whatever_is_listed(
    listing: ContainerListing, key: str, *, stopped: bool
) -> None:
    with pytest.raises(NotFoundError):
        listing.containers({key: ["nope"]}, stopped=stopped)


def test_of_many_patterns_one_at_a_time_is_held(listing: ContainerListing) -> None:
    patterns = ["x{1000}"] * 60
    tracemalloc.start()
    try:
        assert listing.containers({"name": patterns}, stopped=True) == []
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 3_000_000
