"""Which blobs hold which layers, as seen by pulls and pushes."""

from __future__ import annotations

from typing import Protocol

from headway.oci.digest import DiffID, Digest
from headway.records import LayerBlob


class DistributionMetadata(Protocol):
    """Layers and the blobs that were seen to hold them (moby-behaviour 2.8).

    A pair is recorded only where both digests were computed over the same received bytes: otherwise a hostile manifest
    could pair a good layer with an evil blob, and a later push would mount it. A pair may outlive its layer.
    """

    def remember(self, diff_id: DiffID, blob: LayerBlob) -> None:
        """Record that a blob holds a layer; the newest 50 of a layer are kept, and one that is known becomes newest."""

    def blobs_of(self, diff_id: DiffID) -> list[LayerBlob]:
        """Return the blobs that hold a layer, newest first."""

    def diff_id_of(self, digest: Digest) -> DiffID | None:
        """Return the layer that a blob holds, None where nobody has seen it."""

    def forget(self, blob: LayerBlob) -> None:
        """Forget a blob of one repository: it is not there any more."""
