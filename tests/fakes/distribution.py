"""Which blobs hold which layers, in memory; it passes the same contract suite as the one on disk."""

from __future__ import annotations

from headway.oci.digest import DiffID, Digest
from headway.records import LayerBlob


class MemoryDistributionMetadata:
    """`DistributionMetadata` as a list of pairs, oldest first."""

    def __init__(self) -> None:
        self._pairs: list[tuple[DiffID, LayerBlob]] = []

    def remember(self, diff_id: DiffID, blob: LayerBlob) -> None:
        pairs = [pair for pair in self._pairs if pair != (diff_id, blob)]
        surplus = [pair for pair in pairs if pair[0] == diff_id][:-49]
        self._pairs = [*(pair for pair in pairs if pair not in surplus), (diff_id, blob)]

    def blobs_of(self, diff_id: DiffID) -> list[LayerBlob]:
        return [blob for known, blob in reversed(self._pairs) if known == diff_id]

    def diff_id_of(self, digest: Digest) -> DiffID | None:
        return next((diff_id for diff_id, blob in reversed(self._pairs) if blob.digest == digest), None)

    def forget(self, blob: LayerBlob) -> None:
        self._pairs = [pair for pair in self._pairs if pair[1] != blob]
