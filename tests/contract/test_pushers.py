"""Pushes: the contract, for those over HTTP and those in memory; and what HTTP alone has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headway.distribution.endpoints import Endpoint
from headway.errors import DigestMismatchError, MisbehavedError, NotFoundError, RejectedError, TooLargeError
from headway.registry.pusher import RegistryPusher
from headway.registry.request import Sender
from headway.registry.transport import Transport
from tests.contract.pusher_contract import BLOB, IMAGE, LAYER, MANIFEST, OTHER, PATH, PusherContract, begun, piece
from tests.fakes.simulated_pushes import SimulatedPusher
from tests.fakes.simulated_registry import SimulatedRegistry
from tests.faults.client import anonymous
from tests.faults.registry import Registry
from tests.faults.story import CaptivePortal, RedirectTo, SayToo, Status
from tests.faults.story import Fault as On


class TestRegistryPusher(PusherContract):
    @pytest.fixture
    def held(self) -> Iterator[Registry]:
        with Registry([IMAGE], repository=PATH) as registry:
            yield registry

    @pytest.fixture
    def endpoint(self, held: Registry) -> Endpoint:
        return Endpoint(host=held.host, secure=False, scheme="http")

    @pytest.fixture
    def subject(self) -> Iterator[RegistryPusher]:
        transport = Transport()
        yield RegistryPusher(Sender(transport, anonymous))
        transport.close()

    def test_a_connection_carries_no_more_than_it_may(
        self, subject: RegistryPusher, endpoint: Endpoint, held: Registry
    ) -> None:
        session = begun(subject, endpoint)
        before, carried = held.connections, []
        for offset in range(0, 60_000, 10_000):
            each = piece(BLOB, offset, offset + 10_000)
            session.send(type(each)(each.offset, each.end, each.read, allowance=20_000))
            carried.append(session.carried)

        assert carried == [10_000, 20_000] * 3
        assert held.connections == before + 2

    def test_a_piece_that_is_refused_counts_for_its_connection(
        self, subject: RegistryPusher, endpoint: Endpoint, held: Registry
    ) -> None:
        session = begun(subject, endpoint)
        before = held.connections
        held.uploads.most = 9_000
        with pytest.raises(TooLargeError):
            session.send(piece(BLOB, 0, 10_000))
        assert session.carried == 10_000

        held.uploads.most = None
        each = piece(BLOB, 0, 5_000)
        session.send(type(each)(each.offset, each.end, each.read, allowance=12_000))

        assert (session.carried, held.connections) == (5_000, before + 1)

    def test_a_registry_says_how_large_pieces_have_to_be(
        self, subject: RegistryPusher, endpoint: Endpoint, held: Registry
    ) -> None:
        held.uploads.least = 5_000_000

        assert subject.session(endpoint, OTHER).begin() == 5_000_000

    def test_a_piece_that_is_too_large_is_told_by_its_size(
        self, subject: RegistryPusher, endpoint: Endpoint, held: Registry
    ) -> None:
        held.uploads.most = 1000

        with pytest.raises(TooLargeError, match="does not take 2,000 bytes"):
            begun(subject, endpoint).send(piece(BLOB, 0, 2000))

    def test_a_session_at_another_host_goes_on_there_without_a_login(
        self, subject: RegistryPusher, endpoint: Endpoint, held: Registry
    ) -> None:
        with Registry(repository=PATH) as storage:
            elsewhere = begun(subject, Endpoint(host=storage.host, secure=False, scheme="http"))
            location = storage.url + elsewhere._require_place().target  # type: ignore[attr-defined]
            held.faults = [On(SayToo({"Location": location}), kind="upload", method="POST")]
            session = subject.session(endpoint, OTHER)
            session.begin()

            assert session.send(piece(b"data", 0, 4)) == 4
            assert [line.authorized for line in storage.requests("upload")] == [False, False]

    @pytest.mark.parametrize("location", ["ftp://x/y", "http://[", "//["])
    def test_a_session_that_is_nowhere_is_a_wrong_answer(
        self, subject: RegistryPusher, endpoint: Endpoint, held: Registry, location: str
    ) -> None:
        held.faults = [On(SayToo({"Location": location}), kind="upload", method="POST")]

        with pytest.raises(MisbehavedError):
            subject.session(endpoint, OTHER).begin()

    @pytest.mark.parametrize("headers", [{"Content-Length": ""}, {"Content-Encoding": "gzip"}])
    def test_a_length_that_is_not_the_blobs_is_none(
        self, subject: RegistryPusher, endpoint: Endpoint, held: Registry, headers: dict[str, str]
    ) -> None:
        held.faults = [On(SayToo(headers), kind="blob", method="HEAD")]

        assert subject.blob_size(endpoint, PATH, LAYER) == 0

    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    def test_a_piece_is_taken_by_whatever_says_so(
        self, subject: RegistryPusher, endpoint: Endpoint, held: Registry, status: int
    ) -> None:
        held.faults = [On(Status(status), kind="upload", method="PATCH")]

        assert begun(subject, endpoint).send(piece(BLOB, 0, 1000)) is None

    def test_a_blob_that_arrived_as_another_is_told_so(self, subject: RegistryPusher, endpoint: Endpoint) -> None:
        session = begun(subject, endpoint)
        session.send(piece(b"other", 0, 5))

        with pytest.raises(DigestMismatchError, match=f"^what arrived has another digest than {LAYER} "):
            session.finish(LAYER)

    @pytest.mark.parametrize("body", [b"", b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"x"}]}'])
    def test_a_manifest_that_names_what_the_registry_misses_is_refused_for_good(
        self, subject: RegistryPusher, endpoint: Endpoint, held: Registry, body: bytes
    ) -> None:
        held.faults = [On(Status(404, body=body), kind="manifest", method="PUT")]

        with pytest.raises(
            RejectedError, match=r"does not take the manifest: (answers HTTP 404|manifest blob unknown)"
        ):
            subject.put_manifest(endpoint, PATH, "1", MANIFEST)

    def test_a_manifest_that_is_stored_as_another_is_so_for_good(
        self, subject: RegistryPusher, endpoint: Endpoint, held: Registry
    ) -> None:
        held.faults = [On(SayToo({"Docker-Content-Digest": str(LAYER)}), kind="manifest", method="PUT")]

        with pytest.raises(RejectedError, match=f"stores a manifest as {LAYER} that is {MANIFEST.digest}"):
            subject.put_manifest(endpoint, PATH, "1", MANIFEST)

    def test_a_repository_that_has_to_be_made_first_is_named(
        self, subject: RegistryPusher, endpoint: Endpoint, held: Registry
    ) -> None:
        body = b'{"errors":[{"code":"NAME_UNKNOWN","message":"create it first"}]}'
        held.faults = [On(Status(404, body=body), kind="upload", method="POST")]

        with pytest.raises(NotFoundError, match=f"no such repository: {OTHER}: name unknown: create it first"):
            subject.session(endpoint, OTHER).begin()

    def test_a_registry_that_takes_no_pushes_says_so_for_good(
        self, subject: RegistryPusher, endpoint: Endpoint, held: Registry
    ) -> None:
        held.faults = [On(Status(405), kind="upload")]

        with pytest.raises(RejectedError, match="takes no pushes"):
            subject.session(endpoint, OTHER).begin()

    def test_a_hotels_page_is_no_registry(self, subject: RegistryPusher, endpoint: Endpoint, held: Registry) -> None:
        held.faults = [On(CaptivePortal())]

        with pytest.raises(MisbehavedError, match="web page"):
            subject.blob_size(endpoint, PATH, LAYER)

    def test_a_piece_follows_a_redirect(self, subject: RegistryPusher, endpoint: Endpoint, held: Registry) -> None:
        session = begun(subject, endpoint)
        held.faults = [On(RedirectTo(f"{held.url}"), kind="upload", method="GET", nth=1)]

        assert session.held() == 0


class TestSimulatedPusher(PusherContract):
    @pytest.fixture
    def held(self) -> SimulatedRegistry:
        return SimulatedRegistry([IMAGE], repository=PATH)

    @pytest.fixture
    def endpoint(self) -> Endpoint:
        return Endpoint(host="registry.test")

    @pytest.fixture
    def subject(self, held: SimulatedRegistry) -> SimulatedPusher:
        return SimulatedPusher(held)
