"""What every `DistributionMetadata` does."""

from __future__ import annotations

from headway.interfaces.distribution import DistributionMetadata
from headway.oci.digest import DiffID, Digest
from headway.records import LayerBlob

LAYER, OTHER = DiffID(Digest.of(b"layer")), DiffID(Digest.of(b"other"))


def blob(name: str, repository: str = "docker.io/library/alpine") -> LayerBlob:
    return LayerBlob(Digest.of(name.encode()), repository)


class DistributionMetadataContract:
    """Give `subject`, an empty `DistributionMetadata`."""

    def test_nothing_is_known_at_first(self, subject: DistributionMetadata) -> None:
        assert subject.diff_id_of(blob("gzip").digest) is None
        assert subject.blobs_of(LAYER) == []

    def test_the_layer_of_a_blob_is_remembered(self, subject: DistributionMetadata) -> None:
        subject.remember(LAYER, blob("gzip"))
        subject.remember(LAYER, blob("zstd"))
        subject.remember(OTHER, blob("other"))

        found = [subject.diff_id_of(blob(name).digest) for name in ("gzip", "zstd", "other", "unknown")]

        assert found == [LAYER, LAYER, OTHER, None]

    def test_a_layers_blobs_are_listed_newest_first(self, subject: DistributionMetadata) -> None:
        seen = [blob("gzip"), blob("zstd"), blob("gzip", "ghcr.io/acme/edge")]
        for each in (*seen, seen[0]):
            subject.remember(LAYER, each)

        assert subject.blobs_of(LAYER) == [seen[0], seen[2], seen[1]]

    def test_of_many_blobs_of_one_layer_the_newest_fifty_are_kept(self, subject: DistributionMetadata) -> None:
        blobs = [blob(str(number)) for number in range(51)]
        for each in blobs[:50]:
            subject.remember(LAYER, each)
        subject.remember(OTHER, blob("other"))

        subject.remember(LAYER, blobs[0])
        subject.remember(LAYER, blobs[50])

        assert [each for each in blobs if subject.diff_id_of(each.digest) is None] == [blobs[1]]
        assert len(subject.blobs_of(LAYER)) == 50
        assert subject.diff_id_of(blob("other").digest) == OTHER

    def test_a_blob_that_is_gone_from_one_repository_may_be_in_another(self, subject: DistributionMetadata) -> None:
        subject.remember(LAYER, blob("gzip"))
        subject.remember(LAYER, blob("gzip", "ghcr.io/acme/edge"))

        subject.forget(blob("gzip"))
        subject.forget(blob("unknown"))

        assert subject.blobs_of(LAYER) == [blob("gzip", "ghcr.io/acme/edge")]
        assert subject.diff_id_of(blob("gzip").digest) == LAYER
