"""What every `ImageStore` does."""

from __future__ import annotations

import msgspec
import pytest

from headway.errors import NotFoundError
from headway.interfaces.images import ImageStore
from headway.oci.digest import ChainID, Digest, ImageID
from headway.records import ImageRecord


def image_id(name: str) -> ImageID:
    return ImageID(Digest.of(name.encode()))


def image(name: str, created: str = "2026-01-01T00:00:00Z") -> ImageRecord:
    return ImageRecord(
        image_id=image_id(name),
        created=created,
        size=123,
        platform="linux/arm64",
        chain_id=ChainID(Digest.of(b"chain")),
        manifest=Digest.of(b"manifest", "sha512"),
        last_tagged=1_700_000_000.25,
        labels={"maintainer": "Zoë", "empty": ""},
    )


def child(name: str, of: str) -> ImageRecord:
    return msgspec.structs.replace(image(name), parent=image_id(of))


class ImageStoreContract:
    """Give `subject`, an empty `ImageStore`."""

    @pytest.mark.parametrize(
        "record",
        [
            image("a"),
            ImageRecord(image_id=image_id("scratch"), created="", size=0, platform="linux/amd64", chain_id=None),
        ],
    )
    def test_a_record_comes_back_as_it_was(self, subject: ImageStore, record: ImageRecord) -> None:
        subject.put(record)

        assert subject.get(record.image_id) == record
        assert subject.list() == [record]

    def test_an_unknown_image_is_none(self, subject: ImageStore) -> None:
        assert subject.get(image_id("a")) is None
        assert (subject.list(), subject.count()) == ([], 0)

    def test_a_known_image_is_replaced(self, subject: ImageStore) -> None:
        subject.put(image("a"))

        subject.put(image("a", created="2027-01-01T00:00:00Z"))

        assert subject.get(image_id("a")) == image("a", created="2027-01-01T00:00:00Z")
        assert subject.count() == 1

    def test_images_are_listed_by_the_moment_they_were_made_newest_first(self, subject: ImageStore) -> None:
        in_order = [
            "2026-01-01T12:00:00.123456789+02:00",
            "2026-01-01T09:59:59.9Z",
            "2026-01-01T09:00:00Z",
            "1970-01-01T00:00:00Z",
            "0001-01-01T00:00:00Z",
            "",
        ]
        for created in sorted(in_order):
            subject.put(image(created, created))

        assert [record.created for record in subject.list()] == in_order

    def test_images_of_the_same_moment_are_listed_in_one_order(self, subject: ImageStore) -> None:
        for name in "abcdef":
            subject.put(image(name))

        assert [record.image_id for record in subject.list()] == sorted(map(image_id, "abcdef"))

    @pytest.mark.parametrize("length", [1, 2, 12, 64])
    @pytest.mark.parametrize("prefix", ["", "sha256:"])
    def test_an_image_is_found_by_the_start_of_its_id(self, subject: ImageStore, prefix: str, length: int) -> None:
        subject.put(image("a"))
        subject.put(image("b"))

        found = subject.search(prefix + image_id("a").hex[:length])

        assert found == [image_id("a")]

    def test_of_many_images_that_match_two_are_returned(self, subject: ImageStore) -> None:
        ids = [image_id(str(number)) for number in range(100)]
        for number in range(100):
            subject.put(image(str(number)))
        digit = ids[0].hex[0]

        found = subject.search(digit)

        assert found == sorted(one for one in ids if one.hex[0] == digit)[:2]
        assert len(found) == 2

    @pytest.mark.parametrize(
        "prefix", ["", "sha256:", "sha256", "sha", "x", "%", "_", "a'", "A", "sha256:sha256:", " "]
    )
    def test_what_is_no_start_of_an_id_finds_nothing(self, subject: ImageStore, prefix: str) -> None:
        for number in range(50):
            subject.put(image(str(number)))

        assert subject.search(prefix) == []

    def test_children_and_parents_are_known(self, subject: ImageStore) -> None:
        subject.put(image("a"))
        for name, of in [("b", "a"), ("c", "a"), ("d", "b")]:
            subject.put(child(name, of))

        assert subject.children(image_id("a")) == sorted([image_id("b"), image_id("c")])
        assert subject.children(image_id("d")) == []
        assert subject.parents() == {image_id("a"), image_id("b")}
        assert subject.get(image_id("d")) == child("d", "b")

    def test_a_parent_that_is_not_here_is_refused(self, subject: ImageStore) -> None:
        with pytest.raises(NotFoundError):
            subject.put(child("b", "a"))

        assert subject.list() == []

    def test_when_an_image_was_tagged_can_be_changed_alone(self, subject: ImageStore) -> None:
        subject.put(image("a"))

        subject.set_last_tagged(image_id("a"), 1_800_000_000.5)
        subject.set_last_tagged(image_id("missing"), 1.0)

        assert subject.list() == [msgspec.structs.replace(image("a"), last_tagged=1_800_000_000.5)]

    def test_only_an_image_that_is_here_keeps_blobs(self, subject: ImageStore) -> None:
        subject.put(image("a"))

        subject.add_blobs(image_id("a"), [Digest.of(b"index")])
        subject.add_blobs(image_id("a"), [Digest.of(b"index"), Digest.of(b"other")])

        kept = {image_id("a"), Digest.of(b"manifest", "sha512"), Digest.of(b"index"), Digest.of(b"other")}
        assert subject.blobs_of(image_id("a")) == sorted(kept)
        assert subject.blobs_of(image_id("b")) == []
        with pytest.raises(NotFoundError):
            subject.add_blobs(image_id("b"), [Digest.of(b"index")])
