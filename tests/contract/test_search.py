"""Searching: the contract of an index, for the one over HTTP and the one in memory; and what is made of its answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from headway.distribution.endpoints import Endpoint, InsecureRegistries
from headway.errors import InvalidFilterError, InvalidReferenceError, MisbehavedError, RequestError, UnavailableError
from headway.interfaces.registries import SearchIndex
from headway.records import FoundRepository
from headway.registry.request import Sender
from headway.registry.search import SearchClient
from headway.registry.transport import Transport
from headway.service.concurrency.executors import Executors
from headway.service.registries.search import search, search_endpoint
from tests.fakes import images
from tests.fakes.index_server import IndexServer, index_server
from tests.fakes.simulated_registry import SimulatedRegistry
from tests.faults.client import anonymous

NAMES = ["acme/alpine", "library/alpine", "library/busybox"]
SECURE = InsecureRegistries()


class SearchIndexContract:
    """Give `subject`, a `SearchIndex` with `NAMES`, and the `endpoint` it has them at."""

    def test_it_finds_what_there_is(self, subject: SearchIndex, endpoint: Endpoint) -> None:
        found = subject.search(endpoint, "alpine", 25)

        assert [each.name for each in found] == ["acme/alpine", "library/alpine"]

    def test_it_finds_no_more_than_it_is_asked_for(self, subject: SearchIndex, endpoint: Endpoint) -> None:
        assert len(subject.search(endpoint, "a", 1)) == 1

    def test_it_may_find_nothing(self, subject: SearchIndex, endpoint: Endpoint) -> None:
        assert subject.search(endpoint, "nothing of the kind & such", 25) == []


@pytest.fixture
def index() -> Iterator[IndexServer]:
    with index_server(NAMES) as server:
        yield server


@pytest.fixture
def over_http() -> Iterator[SearchClient]:
    transport = Transport()
    yield SearchClient(Sender(transport, anonymous))
    transport.close()


def at(index: IndexServer) -> Endpoint:
    return Endpoint(index.host, secure=False, scheme="http")


class TestSearchClient(SearchIndexContract):
    @pytest.fixture
    def subject(self, over_http: SearchClient) -> SearchClient:
        return over_http

    @pytest.fixture
    def endpoint(self, index: IndexServer) -> Endpoint:
        return at(index)


class TestSimulatedIndex(SearchIndexContract):
    @pytest.fixture
    def subject(self) -> SimulatedRegistry:
        registry = SimulatedRegistry()
        for name in NAMES:
            registry.add(images.image(), name)
        return registry

    @pytest.fixture
    def endpoint(self) -> Endpoint:
        return Endpoint("index.test")


def test_words_are_sent_as_they_are(over_http: SearchClient, index: IndexServer) -> None:
    over_http.search(at(index), "a&b=c d/é", 7)

    assert index.asked == ["/v1/search?q=a%26b%3Dc+d%2F%C3%A9&n=7"]


def test_a_server_that_has_no_index_says_so_in_dockers_words(over_http: SearchClient, index: IndexServer) -> None:
    index.status = 404

    with pytest.raises(MisbehavedError, match="Unexpected status code 404"):
        over_http.search(at(index), "alpine", 25)


def test_an_index_that_is_out_of_order_may_be_asked_again(over_http: SearchClient, index: IndexServer) -> None:
    index.status = 503

    with pytest.raises(UnavailableError) as caught:
        over_http.search(at(index), "alpine", 25)

    assert caught.value.retryable


@pytest.mark.parametrize("body", [b"<html>", b'{"results": 1}', b"[]", b'{"results": [{"name": 1}]}', b"\xff", b""])
def test_an_answer_that_is_none_is_refused(over_http: SearchClient, index: IndexServer, body: bytes) -> None:
    index.body = body

    with pytest.raises(MisbehavedError, match="something else"):
        over_http.search(at(index), "alpine", 25)


class Found:
    """A `SearchIndex` that finds the same whatever it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []

    def search(self, endpoint: Endpoint, term: str, limit: int) -> list[FoundRepository]:
        self.asked.append((endpoint.host, term, limit))
        return [
            FoundRepository(name="official", star_count=50, is_official=True),
            FoundRepository(name="built", star_count=5, is_automated=True),
            FoundRepository(name="plain"),
        ]


@pytest.fixture
async def executors() -> AsyncIterator[Executors]:
    executors = Executors()
    yield executors
    executors.close()


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["official", "built", "plain"]),
        ({"is-official": ["true"]}, ["official"]),
        ({"is-official": ["false"]}, ["built", "plain"]),
        ({"is-automated": ["true"]}, ["built"]),
        ({"stars": ["5"]}, ["official", "built"]),
        ({"stars": ["5", "50"]}, ["official"]),
        ({"is-official": ["true"], "is-automated": ["true"]}, []),
    ],
)
async def test_filters_are_applied_to_what_was_found(
    executors: Executors, filters: dict[str, list[str]], names: list[str]
) -> None:
    found = await search(Found(), executors, "x", filters=filters, insecure=SECURE)

    assert [each.name for each in found] == names


async def test_docker_hub_is_asked_for_twenty_five_unless_it_is_said(executors: Executors) -> None:
    index = Found()

    await search(index, executors, "alpine", filters={}, insecure=SECURE)
    await search(index, executors, "ghcr.io/acme/edge", limit=3, filters={}, insecure=SECURE)

    assert index.asked == [("index.docker.io", "alpine", 25), ("ghcr.io", "acme/edge", 3)]


@pytest.mark.parametrize("limit", [-1, 101])
async def test_a_limit_out_of_range_is_refused_in_dockers_words(executors: Executors, limit: int) -> None:
    with pytest.raises(RequestError, match=rf"^Limit {limit} is outside the range of \[1, 100\]$"):
        await search(Found(), executors, "x", limit=limit, filters={}, insecure=SECURE)


@pytest.mark.parametrize(
    "filters",
    [{"is-official": ["maybe"]}, {"stars": ["many"]}, {"stars": ["-1"]}, {"stars": ["9" * 5000]}, {"name": ["x"]}],
)
async def test_filters_that_are_none_are_refused(executors: Executors, filters: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidFilterError, match="invalid filter"):
        await search(Found(), executors, "x", filters=filters, insecure=SECURE)


@pytest.mark.parametrize(
    ("term", "host", "words", "secure"),
    [
        ("alpine", "index.docker.io", "alpine", True),
        ("library/alpine", "index.docker.io", "alpine", True),
        ("team/app", "index.docker.io", "team/app", True),
        ("docker.io/team/app", "index.docker.io", "team/app", True),
        ("localhost/app", "localhost", "app", False),
        ("127.0.0.1:5000/team/app", "127.0.0.1:5000", "team/app", False),
    ],
)
def test_a_term_says_which_index_it_is_for(term: str, host: str, words: str, secure: bool) -> None:  # noqa: FBT001
    assert search_endpoint(term, SECURE) == (Endpoint(host, secure=secure), words)


@pytest.mark.parametrize("term", ["", " ", "ghcr.io/", "http://ghcr.io/x"])
def test_a_term_without_words_is_refused(term: str) -> None:
    with pytest.raises(InvalidReferenceError, match="invalid search term"):
        search_endpoint(term, SECURE)
