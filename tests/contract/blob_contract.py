"""What every `BlobStore` does."""

from __future__ import annotations

import pytest

from headway.errors import DigestMismatchError, NotFoundError
from headway.interfaces.content import BlobStore
from headway.oci.digest import ALGORITHMS, Digest

CONFIG = b'{"architecture":"arm64"}'


class BlobContract:
    """Give `subject`, an empty `BlobStore`."""

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    @pytest.mark.parametrize("content", [b"", CONFIG, bytes(100_000)])
    def test_what_was_put_is_read(self, subject: BlobStore, algorithm: str, content: bytes) -> None:
        digest = Digest.of(content, algorithm)

        subject.put(digest, content)
        subject.put(digest, content)

        assert subject.read(digest) == content
        assert b"".join(subject.pieces(digest)) == content
        assert subject.size(digest) == len(content)
        assert list(subject.walk()) == [digest]

    def test_an_absent_blob_has_no_size_and_cannot_be_read(self, subject: BlobStore) -> None:
        digest = Digest.of(CONFIG)

        with pytest.raises(NotFoundError):
            next(subject.pieces(digest))
        with pytest.raises(NotFoundError) as caught:
            subject.read(digest)

        assert (caught.value.what, caught.value.name) == ("blob", digest)
        assert subject.size(digest) is None

    def test_content_with_another_digest_is_refused(self, subject: BlobStore) -> None:
        digest = Digest.of(CONFIG)

        with pytest.raises(DigestMismatchError):
            subject.put(digest, CONFIG + b" ")

        assert list(subject.walk()) == []

    def test_a_deleted_blob_is_gone(self, subject: BlobStore) -> None:
        digest = Digest.of(CONFIG)
        subject.put(digest, CONFIG)

        subject.delete(digest)
        subject.delete(digest)

        assert subject.size(digest) is None
        assert list(subject.walk()) == []
