"""What every `ReferenceStore` does."""

from __future__ import annotations

import pytest

from headway.errors import ConflictError, InvalidReferenceError, NotFoundError
from headway.interfaces.images import ImageStore, ReferenceStore
from headway.oci.digest import Digest
from headway.oci.reference import Reference
from tests.contract.image_store_contract import image, image_id

A, B = image_id("a"), image_id("b")
MANIFEST = Digest.of(b"manifest")


def name(text: str) -> Reference:
    return Reference.parse(text)


class ReferenceStoreContract:
    """Give `images`, an empty `ImageStore`, and `subject`, the names of its images."""

    @pytest.fixture(autouse=True)
    def two_images(self, images: ImageStore) -> None:
        images.put(image("a"))
        images.put(image("b"))

    def test_a_tag_moves_and_says_from_where(self, subject: ReferenceStore) -> None:
        befores = [subject.put_tag(name("alpine:3"), to) for to in (A, A, B, A)]

        assert befores == [None, None, A, B]
        assert subject.get(name("alpine:3")) == A

    def test_an_unknown_name_stands_for_nothing(self, subject: ReferenceStore) -> None:
        subject.put_tag(name("alpine:3"), A)

        assert subject.get(name("alpine:4")) is None
        assert subject.get(name("busybox:3")) is None
        assert subject.get(name(f"alpine@{MANIFEST}")) is None

    def test_no_tag_means_latest(self, subject: ReferenceStore) -> None:
        subject.put_tag(name("alpine"), A)

        assert subject.get(name("alpine:latest")) == A
        assert subject.get(name("alpine")) == A
        assert subject.of(A) == [name("alpine:latest")]
        assert subject.delete(name("alpine"))

    def test_a_digest_reference_does_not_move(self, subject: ReferenceStore) -> None:
        subject.put_digest(name(f"alpine@{MANIFEST}"), A)
        subject.put_digest(name(f"alpine@{MANIFEST}"), A)

        with pytest.raises(ConflictError, match=f"Cannot overwrite digest {MANIFEST}"):
            subject.put_digest(name(f"alpine@{MANIFEST}"), B)

        assert subject.get(name(f"alpine@{MANIFEST}")) == A

    def test_the_digest_wins_over_the_tag(self, subject: ReferenceStore) -> None:
        subject.put_tag(name("alpine:3"), A)
        subject.put_digest(name(f"alpine:3@{MANIFEST}"), B)

        found = [subject.get(name(text)) for text in ("alpine:3", f"alpine:3@{MANIFEST}", f"alpine:9@{MANIFEST}")]

        assert found == [A, B, B]
        assert subject.of(B) == [name(f"alpine@{MANIFEST}")]

    @pytest.mark.parametrize("text", [f"alpine@{MANIFEST}", f"alpine:3@{MANIFEST}", "sha256:3", "sha256"])
    def test_a_tag_that_could_be_a_digest_is_refused(self, subject: ReferenceStore, text: str) -> None:
        with pytest.raises(InvalidReferenceError):
            subject.put_tag(name(text), A)

        assert subject.list() == []

    def test_a_digest_reference_has_a_digest(self, subject: ReferenceStore) -> None:
        with pytest.raises(InvalidReferenceError):
            subject.put_digest(name("alpine:3"), A)

    def test_no_name_stands_for_an_image_that_is_not_here(self, subject: ReferenceStore) -> None:
        with pytest.raises(NotFoundError):
            subject.put_tag(name("alpine:3"), image_id("missing"))
        with pytest.raises(NotFoundError):
            subject.put_digest(name(f"alpine@{MANIFEST}"), image_id("missing"))

        assert subject.list() == []

    def test_replacing_an_image_keeps_its_names(self, subject: ReferenceStore, images: ImageStore) -> None:
        subject.put_tag(name("alpine:3"), A)

        images.put(image("a", created="2027-01-01T00:00:00Z"))

        assert subject.of(A) == [name("alpine:3")]

    def test_a_deleted_name_is_gone_and_its_neighbours_stay(self, subject: ReferenceStore) -> None:
        subject.put_tag(name("alpine:3"), A)
        subject.put_tag(name("alpine:4"), A)
        subject.put_digest(name(f"alpine@{MANIFEST}"), A)

        told = [subject.delete(name(text)) for text in ("alpine:3", "alpine:3", f"alpine:4@{MANIFEST}")]

        assert told == [True, False, True]
        assert subject.list() == [(name("alpine:4"), A)]

    def test_names_are_sorted_by_their_full_spelling(self, subject: ReferenceStore) -> None:
        spelled = [
            "127.0.0.1:5000/a/b:1",
            f"docker.io/library/alpine@{MANIFEST}",
            "docker.io/library/alpine:3",
            "docker.io/library/alpine:3.1",
            "docker.io/team/app:Z",
            "docker.io/team/app:a",
            "ghcr.io/acme/edge:2.1",
        ]
        for number, text in enumerate(reversed(spelled)):
            put = subject.put_digest if "@" in text else subject.put_tag
            put(name(text), (A, B)[number % 2])

        in_order = sorted(spelled)
        assert [str(reference) for reference, _ in subject.list()] == in_order
        assert [reference for reference, _ in subject.list()] == [name(text) for text in in_order]
        assert subject.of(A) == [reference for reference, image in subject.list() if image == A]
        assert subject.of(image_id("missing")) == []

    def test_a_repositorys_names_are_known(self, subject: ReferenceStore) -> None:
        spelled = [f"docker.io/library/alpine@{MANIFEST}", "docker.io/library/alpine:3", "docker.io/library/alpine:4"]
        for text in ("ghcr.io/library/alpine:3", "alpine/alpine:3", "alpine-edge:3", *reversed(spelled)):
            put = subject.put_digest if "@" in text else subject.put_tag
            put(name(text), A)

        assert subject.within(name("alpine")) == [name(text) for text in sorted(spelled)]
        assert subject.within(name("alpine:9")) == subject.within(name("alpine"))
        assert subject.within(name("missing")) == []
