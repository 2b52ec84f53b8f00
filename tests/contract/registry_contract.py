"""What every `Registry` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

from headway.distribution.endpoints import Endpoint
from headway.errors import (
    DigestMismatchError,
    Fault,
    HeadwayError,
    HeldBackError,
    MisbehavedError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    UnavailableError,
    UnreachableError,
)
from headway.interfaces.registries import BlobStream, Registry
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.oci.reference import Reference
from tests.fakes import images
from tests.faults.story import (
    CaptivePortal,
    ChangeTagBetweenRequests,
    CutAfter,
    FlipByte,
    IgnoreRange,
    ResetAfter,
    ShortBody,
    SlowResponse,
    StallAfter,
    Status,
)
from tests.faults.story import Fault as On

PATH = "test/image"
IMAGE = images.image([images.noise_layer(200_000)])
OTHER = images.image([{"other": b"other"}], tag="other")
BLOB = IMAGE.blobs[IMAGE.layers[0]]
SIZE = len(BLOB)
LAYER = Descriptor(media_type="layer", digest=Digest.parse(IMAGE.layers[0]), size=SIZE)
MANIFEST = Digest.parse(IMAGE.manifest_digest)
LIMIT_SECONDS = 0.3


class Held(Protocol):
    """What the registry at the other end holds, and what goes wrong there."""

    faults: Sequence[On]

    def add(self, image: images.Image, repository: str = ..., *, tag: str = ...) -> None: ...
    def remove(self, digest: str) -> None: ...
    def move_tag(self, repository: str, tag: str, digest: str) -> None: ...
    def sent(self, kind: str = ...) -> int: ...


def reference(name: str) -> Reference:
    return Reference.parse(f"127.0.0.1/{PATH}{name}")


def read_all(stream: BlobStream, *, limit: float = LIMIT_SECONDS) -> tuple[int, bytes, HeadwayError | None]:
    """Open a stream, read it and close it; return where it starts, what came, and why no more.

    Args:
        stream: Not open yet.
        limit: How many seconds it may be silent.
    """
    stream.stall_limit_seconds = limit
    start, data = -1, b""
    try:
        start = stream.open()
        while piece := stream.read():
            data += piece
    except HeadwayError as error:
        return start, data, error
    else:
        return start, data, None
    finally:
        stream.close()


def drain(stream: BlobStream) -> None:
    while stream.read():
        pass


class RegistryContract:
    """Give `subject`, a `Registry`; `endpoint`, where to ask it; and `held`, which holds `IMAGE` in `PATH`."""

    def test_a_tag_resolves_to_its_manifest(self, subject: Registry, endpoint: Endpoint) -> None:
        found = subject.resolve(endpoint, reference(":latest"))

        media_type = IMAGE.media_types[IMAGE.manifest_digest]
        assert found == Descriptor(media_type=media_type, digest=MANIFEST, size=len(IMAGE.blobs[MANIFEST]))

    def test_a_digest_resolves_to_itself(self, subject: Registry, endpoint: Endpoint) -> None:
        assert subject.resolve(endpoint, reference(f"@{MANIFEST}")).digest == MANIFEST

    def test_a_tag_that_moves_resolves_to_where_it_is(self, subject: Registry, endpoint: Endpoint, held: Held) -> None:
        held.add(OTHER)
        held.faults = [On(ChangeTagBetweenRequests("latest", OTHER.manifest_digest), kind="manifest", nth=1)]

        found = [subject.resolve(endpoint, reference(":latest")).digest for _ in range(2)]

        assert found == [MANIFEST, OTHER.manifest_digest]

    def test_a_manifest_comes_as_it_is(self, subject: Registry, endpoint: Endpoint) -> None:
        manifest = subject.fetch_manifest(endpoint, PATH, MANIFEST)

        assert (manifest.data, manifest.digest) == (IMAGE.blobs[MANIFEST], MANIFEST)
        assert manifest.media_type == IMAGE.media_types[MANIFEST]

    def test_a_manifest_with_another_digest_is_refused(self, subject: Registry, endpoint: Endpoint, held: Held) -> None:
        held.faults = [On(FlipByte(10), kind="manifest")]

        with pytest.raises(DigestMismatchError):
            subject.fetch_manifest(endpoint, PATH, MANIFEST)

    @pytest.mark.parametrize("name", [":none", f"@sha256:{'0' * 64}", f"@{LAYER.digest}"])
    def test_a_manifest_that_is_not_there_is_not_found(self, subject: Registry, endpoint: Endpoint, name: str) -> None:
        with pytest.raises(NotFoundError):
            subject.resolve(endpoint, reference(name))

    def test_another_repository_does_not_have_it(self, subject: Registry, endpoint: Endpoint) -> None:
        with pytest.raises(NotFoundError):
            subject.fetch_manifest(endpoint, "test/other", MANIFEST)

    @pytest.mark.parametrize(("offset", "end"), [(0, SIZE), (1, SIZE), (0, 1), (1000, 2000), (SIZE - 1, SIZE)])
    def test_a_blob_comes_from_the_offset_to_the_end(
        self, subject: Registry, endpoint: Endpoint, held: Held, offset: int, end: int
    ) -> None:
        found = read_all(subject.blob(endpoint, PATH, LAYER, offset, end))

        assert found == (offset, BLOB[offset:end], None)
        assert held.sent("blob") == end - offset

    def test_nothing_is_asked_before_the_open(self, subject: Registry, endpoint: Endpoint, held: Held) -> None:
        stream = subject.blob(endpoint, PATH, LAYER, 0, SIZE)

        stream.close()

        assert (stream.received_bytes, held.sent()) == (0, 0)

    def test_what_was_received_is_counted(self, subject: Registry, endpoint: Endpoint) -> None:
        stream = subject.blob(endpoint, PATH, LAYER, 1000, SIZE)

        read_all(stream)

        assert SIZE - 1000 <= stream.received_bytes < SIZE + 1000

    def test_a_blob_that_is_not_there_is_not_found(self, subject: Registry, endpoint: Endpoint, held: Held) -> None:
        held.remove(LAYER.digest)

        _, _, error = read_all(subject.blob(endpoint, PATH, LAYER, 0, SIZE))

        assert isinstance(error, NotFoundError)

    @pytest.mark.parametrize("effect", [CutAfter(70_000), ResetAfter(70_000)])
    def test_a_cut_gives_what_arrived_first(
        self, subject: Registry, endpoint: Endpoint, held: Held, effect: CutAfter | ResetAfter
    ) -> None:
        held.faults = [On(effect, kind="blob", nth=1)]

        start, data, error = read_all(subject.blob(endpoint, PATH, LAYER, 1000, SIZE))
        rest = read_all(subject.blob(endpoint, PATH, LAYER, 71_000, SIZE))

        assert (start, data) == (1000, BLOB[1000:71_000])
        assert isinstance(error, UnreachableError)
        assert (error.fault, error.retryable) == (Fault.CUT, True)
        assert rest == (71_000, BLOB[71_000:], None)

    def test_silence_in_a_body_is_a_stall(self, subject: Registry, endpoint: Endpoint, held: Held) -> None:
        held.faults = [On(StallAfter(1000), kind="blob")]

        _, data, error = read_all(subject.blob(endpoint, PATH, LAYER, 0, SIZE))

        assert data == BLOB[:1000]
        assert isinstance(error, UnreachableError)
        assert error.fault is Fault.STALLED

    def test_no_answer_is_a_timeout(self, subject: Registry, endpoint: Endpoint, held: Held) -> None:
        held.faults = [On(SlowResponse(60), kind="blob")]

        start, _, error = read_all(subject.blob(endpoint, PATH, LAYER, 0, SIZE))

        assert start == -1
        assert isinstance(error, UnreachableError)
        assert error.fault is Fault.TIMEOUT

    def test_a_server_that_ignores_ranges_starts_at_the_first_byte(
        self, subject: Registry, endpoint: Endpoint, held: Held
    ) -> None:
        held.faults = [On(IgnoreRange(), kind="blob")]

        assert read_all(subject.blob(endpoint, PATH, LAYER, 1000, 2000)) == (0, BLOB, None)

    def test_less_than_was_asked_for_is_taken(self, subject: Registry, endpoint: Endpoint, held: Held) -> None:
        held.faults = [On(ShortBody(10), kind="blob")]

        assert read_all(subject.blob(endpoint, PATH, LAYER, 1000, SIZE)) == (1000, BLOB[1000:-10], None)

    def test_a_whole_blob_of_another_length_is_refused(self, subject: Registry, endpoint: Endpoint, held: Held) -> None:
        held.faults = [On(ShortBody(10), kind="blob")]

        start, data, error = read_all(subject.blob(endpoint, PATH, LAYER, 0, SIZE))

        assert (start, data) == (-1, b"")
        assert isinstance(error, MisbehavedError)

    def test_wrong_bytes_of_a_blob_are_passed_on(self, subject: Registry, endpoint: Endpoint, held: Held) -> None:
        held.faults = [On(FlipByte(1500), kind="blob")]

        _, data, error = read_all(subject.blob(endpoint, PATH, LAYER, 1000, 2000))

        assert error is None
        assert [at for at in range(1000) if data[at] != BLOB[1000 + at]] == [500]

    @pytest.mark.parametrize(
        ("effect", "kind"),
        [
            (Status(400), MisbehavedError),
            (Status(403, body=b'{"errors":[{"code":"DENIED"}]}'), RefusedError),
            (Status(404), NotFoundError),
            (Status(416), MisbehavedError),
            (Status(429, headers={"Retry-After": "7"}), ThrottledError),
            (Status(503, headers={"Retry-After": "7"}), UnavailableError),
            (CaptivePortal(), MisbehavedError),
        ],
    )
    def test_other_answers_raise(
        self,
        subject: Registry,
        endpoint: Endpoint,
        held: Held,
        effect: Status | CaptivePortal,
        kind: type[HeadwayError],
    ) -> None:
        held.faults = [On(effect)]

        _, _, error = read_all(subject.blob(endpoint, PATH, LAYER, 0, SIZE))
        with pytest.raises((kind, HeldBackError)):  # who was told when to come again need not ask again before
            subject.fetch_manifest(endpoint, PATH, MANIFEST)
        with pytest.raises((kind, HeldBackError)):
            subject.resolve(endpoint, reference(":latest"))

        assert isinstance(error, kind)
        if isinstance(error, ThrottledError | UnavailableError):
            assert error.retry_after_seconds == 7

    def test_after_an_abort_nothing_is_opened_or_read(self, subject: Registry, endpoint: Endpoint) -> None:
        opened = subject.blob(endpoint, PATH, LAYER, 0, SIZE)
        opened.open()
        opened.abort()
        fresh = subject.blob(endpoint, PATH, LAYER, 0, SIZE)
        fresh.abort()

        with pytest.raises(UnreachableError):
            drain(opened)
        with pytest.raises(UnreachableError):
            fresh.open()
        opened.close()
        fresh.close()

    def test_a_stream_may_be_closed_at_any_time_and_twice(self, subject: Registry, endpoint: Endpoint) -> None:
        stream = subject.blob(endpoint, PATH, LAYER, 0, SIZE)
        stream.open()
        stream.read()

        stream.close()
        stream.close()
        stream.abort()

        assert read_all(subject.blob(endpoint, PATH, LAYER, 0, SIZE)) == (0, BLOB, None)
