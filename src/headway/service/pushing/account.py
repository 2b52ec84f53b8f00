"""What one push has brought to its registry, and what that cost: kept while it runs, and told at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from headway.errors import HeadwayError, PushIncompleteError
from headway.oci.digest import DiffID
from headway.service.pushing.layer_pushes import PushedBlob
from headway.service.pushing.progress import PushPhase, PushReceipt


class PushAccount:
    """Adds it up.

    Attributes:
        blobs: The layers that the registry has now, as it has them.
    """

    def __init__(self) -> None:
        self.blobs: dict[DiffID, PushedBlob] = {}
        self._wanted: set[DiffID] = set()
        self._documents_needed = self._documents_sent = 0
        self._retries: Counter[str] = Counter()

    def wants(self, layers: Iterable[DiffID]) -> None:
        """Take note of layers that it needs there."""
        self._wanted.update(layers)

    def brought(self, layer: DiffID, blob: PushedBlob) -> None:
        """Take note of a layer that is there."""
        self.blobs[layer] = blob
        self._retries.update(blob.retries)

    def sent(self, size: int, sent: int, retries: Mapping[str, int]) -> None:
        """Take note of a config or a manifest that is there.

        Args:
            size: Of it, in bytes.
            sent: Bytes that went over connections for it.
            retries: Failures by cause.
        """
        self._documents_needed += size
        self._documents_sent += sent
        self._retries.update(retries)

    def receipt(self, asked_again: Counter[str], *, seconds: float) -> PushReceipt:
        """Return what it all cost.

        Args:
            asked_again: Questions that had to be put again, by cause.
            seconds: How long it took.
        """
        sent = [blob for blob in self.blobs.values() if blob.how is PushPhase.PUSHED]
        return PushReceipt(
            needed=sum(blob.size for blob in sent) + self._documents_needed,
            sent=sum(blob.sent for blob in sent) + self._documents_sent,
            there=sum(blob.size for blob in self.blobs.values() if blob.how in (PushPhase.THERE, PushPhase.MOUNTED)),
            retries=dict(self._retries + asked_again),
            seconds=seconds,
        )

    def incomplete(self, name: str, error: HeadwayError) -> PushIncompleteError:
        """Return the error to report: `error`, and what the registry has of the image `name`."""
        return PushIncompleteError(name, error, whole_layers=len(self.blobs), layers=len(self._wanted))
