"""What every `Pusher` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import pytest

from headway.distribution.endpoints import Endpoint
from headway.errors import (
    DigestMismatchError,
    HeldBackError,
    MisbehavedError,
    NotFoundError,
    RefusedError,
    RegistryError,
    RejectedError,
    ThrottledError,
    UnavailableError,
    UnreachableError,
)
from headway.interfaces.registries import Mount, Piece, Pusher, UploadSession
from headway.oci.digest import Digest
from headway.records import RawManifest
from tests.fakes import images
from tests.faults.story import Fault as On
from tests.faults.story import Status

PATH = "test/image"
OTHER = "test/other"
IMAGE = images.image([images.noise_layer(200_000)])
LAYER = Digest.parse(IMAGE.layers[0])
BLOB = IMAGE.blobs[LAYER]
CONFIG = Digest.parse(IMAGE.image_id)
MANIFEST = RawManifest(
    IMAGE.media_types[IMAGE.manifest_digest], IMAGE.blobs[IMAGE.manifest_digest], Digest.parse(IMAGE.manifest_digest)
)


class Held(Protocol):
    """The registry at the other end, and what goes wrong there."""

    faults: Sequence[On]


def piece(data: bytes, offset: int, end: int) -> Piece:
    return Piece(offset, end, lambda at, length: data[at : at + length])


def put(pusher: Pusher, endpoint: Endpoint, repository: str, digest: Digest, data: bytes) -> None:
    session = pusher.session(endpoint, repository)
    session.begin()
    session.send(piece(data, 0, len(data)))
    session.finish(digest)


def begun(pusher: Pusher, endpoint: Endpoint) -> UploadSession:
    session = pusher.session(endpoint, OTHER)
    assert session.begin() == 0
    return session


class PusherContract:
    """Give `subject`, a `Pusher`; `endpoint`, where to push; and `held`, which holds `IMAGE` in `PATH`."""

    def test_a_blob_that_is_there_has_a_size(self, subject: Pusher, endpoint: Endpoint) -> None:
        assert subject.blob_size(endpoint, PATH, LAYER) == len(BLOB)
        assert subject.blob_size(endpoint, PATH, Digest.of(b"none")) is None
        assert subject.blob_size(endpoint, "nobody/knows", LAYER) is None

    def test_a_manifest_is_there_or_not(self, subject: Pusher, endpoint: Endpoint) -> None:
        assert subject.has_manifest(endpoint, PATH, MANIFEST.digest)
        assert not subject.has_manifest(endpoint, PATH, Digest.of(b"none"))

    def test_pieces_become_a_blob(self, subject: Pusher, endpoint: Endpoint) -> None:
        session = begun(subject, endpoint)

        held = [session.send(piece(BLOB, 0, 150_000)), session.held(), session.send(piece(BLOB, 150_000, len(BLOB)))]
        session.finish(LAYER)

        assert held == [150_000, 150_000, len(BLOB)]
        assert session.sent_bytes == len(BLOB)
        assert subject.blob_size(endpoint, OTHER, LAYER) == len(BLOB)

    def test_a_blob_may_go_with_the_end_of_a_session(self, subject: Pusher, endpoint: Endpoint) -> None:
        told: list[int] = []
        session = begun(subject, endpoint)

        session.finish(LAYER, Piece(0, len(BLOB), lambda at, length: BLOB[at : at + length], progress=told.append))

        assert (session.sent_bytes, told[-1]) == (len(BLOB), len(BLOB))
        assert subject.blob_size(endpoint, OTHER, LAYER) == len(BLOB)

    def test_progress_is_told(self, subject: Pusher, endpoint: Endpoint) -> None:
        told: list[int] = []
        session = begun(subject, endpoint)

        session.send(Piece(0, 150_000, lambda at, length: BLOB[at : at + length], progress=told.append))

        assert told == sorted(told)
        assert told[-1] == 150_000

    def test_an_empty_session_has_nothing(self, subject: Pusher, endpoint: Endpoint) -> None:
        assert begun(subject, endpoint).held() == 0

    def test_what_another_repository_has_is_mounted(self, subject: Pusher, endpoint: Endpoint) -> None:
        assert subject.session(endpoint, OTHER).begin(Mount(LAYER, PATH)) is None
        assert subject.blob_size(endpoint, OTHER, LAYER) == len(BLOB)

    def test_where_nothing_can_be_mounted_a_session_begins(self, subject: Pusher, endpoint: Endpoint) -> None:
        session = subject.session(endpoint, OTHER)

        assert session.begin(Mount(Digest.of(b"none"), PATH)) == 0
        assert session.send(piece(b"data", 0, 4)) == 4

    def test_a_piece_at_the_wrong_place_is_refused_and_the_session_lives(
        self, subject: Pusher, endpoint: Endpoint
    ) -> None:
        session = begun(subject, endpoint)
        session.send(piece(BLOB, 0, 1000))

        with pytest.raises(MisbehavedError):
            session.send(piece(BLOB, 5000, 6000))

        assert session.held() == 1000

    def test_other_bytes_than_promised_are_refused(self, subject: Pusher, endpoint: Endpoint) -> None:
        session = begun(subject, endpoint)
        session.send(piece(b"other", 0, 5))

        with pytest.raises(DigestMismatchError):
            session.finish(LAYER)

    def test_a_session_ends_once(self, subject: Pusher, endpoint: Endpoint) -> None:
        session = begun(subject, endpoint)
        session.send(piece(BLOB, 0, len(BLOB)))
        session.finish(LAYER)

        with pytest.raises(NotFoundError):
            session.finish(LAYER)
        assert session.held() is None

    def test_a_cancelled_session_is_gone_and_may_begin_again(self, subject: Pusher, endpoint: Endpoint) -> None:
        session = begun(subject, endpoint)
        session.send(piece(BLOB, 0, 1000))

        session.cancel()
        session.cancel()

        assert session.begin() == 0
        assert session.held() == 0

    def test_a_manifest_gets_its_tag(self, subject: Pusher, endpoint: Endpoint) -> None:
        put(subject, endpoint, OTHER, LAYER, BLOB)
        put(subject, endpoint, OTHER, CONFIG, IMAGE.blobs[CONFIG])

        assert subject.put_manifest(endpoint, OTHER, "new", MANIFEST) == 201
        assert subject.put_manifest(endpoint, OTHER, MANIFEST.digest, MANIFEST) == 201

        assert subject.has_manifest(endpoint, OTHER, MANIFEST.digest)

    def test_a_manifest_of_what_is_not_there_is_refused_for_good(self, subject: Pusher, endpoint: Endpoint) -> None:
        put(subject, endpoint, OTHER, Digest.of(b"other"), b"other")
        document = IMAGE.blobs[IMAGE.manifest_digest].replace(LAYER.encode(), Digest.of(b"none").encode())

        with pytest.raises(RejectedError) as caught:
            subject.put_manifest(
                endpoint, OTHER, "new", RawManifest(MANIFEST.media_type, document, Digest.of(document))
            )

        assert not caught.value.retryable

    @pytest.mark.parametrize(("status", "kind"), [(403, RefusedError), (429, ThrottledError), (503, UnavailableError)])
    def test_other_answers_raise(
        self, subject: Pusher, endpoint: Endpoint, held: Held, status: int, kind: type[RegistryError]
    ) -> None:
        session = begun(subject, endpoint)
        held.faults = [On(Status(status, headers={"Retry-After": "7"}))]

        calls: list[Callable[[], object]] = [
            lambda: session.send(piece(BLOB, 0, 1000)),
            session.held,
            lambda: subject.blob_size(endpoint, PATH, LAYER),
            lambda: subject.put_manifest(endpoint, PATH, "new", MANIFEST),
        ]
        for call in calls:
            with pytest.raises((kind, HeldBackError)):
                call()

    def test_after_an_abort_nothing_is_asked(self, subject: Pusher, endpoint: Endpoint) -> None:
        session = begun(subject, endpoint)
        session.abort()

        with pytest.raises(UnreachableError):
            session.send(piece(BLOB, 0, 1000))
        with pytest.raises(UnreachableError):
            session.held()
