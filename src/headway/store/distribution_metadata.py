"""Records which blobs hold which layers (moby-behaviour 2.8).

Rule: the order of records comes from sequence numbers, since a clock may go back.
"""

from __future__ import annotations

from collections.abc import Sequence

from headway.oci.digest import DiffID, Digest
from headway.records import LayerBlob
from headway.store.database.batches import Batches
from headway.store.database.database import Database

_BLOBS_PER_LAYER = 50


class SqliteDistributionMetadata:
    """`DistributionMetadata` in the database's table ``layer_blobs``.

    Args:
        database: Holds the table.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._remembering = Batches(self._remember)

    def remember(self, diff_id: DiffID, blob: LayerBlob) -> None:
        """Record that a blob holds a layer: both digests were computed over the same bytes.

        Raises:
            StoreError: The disk failed.
        """
        if self._database.in_transaction:  # then it is committed with the rest
            self._remember([(diff_id, blob)])
        else:
            self._remembering.do((diff_id, blob))

    def _remember(self, batch: Sequence[tuple[DiffID, LayerBlob]]) -> None:
        with self._database.transaction():
            self._database.execute_each(
                "INSERT OR REPLACE INTO layer_blobs (digest, diff_id, repository) VALUES (?, ?, ?)",
                [(blob.digest, diff_id, blob.repository) for diff_id, blob in batch],
            )
            self._database.execute_each(
                "DELETE FROM layer_blobs WHERE sequence IN"
                " (SELECT sequence FROM layer_blobs WHERE diff_id = ?"
                " ORDER BY sequence DESC LIMIT -1 OFFSET ?)",
                [(diff_id, _BLOBS_PER_LAYER) for diff_id, _ in batch],
            )

    def blobs_of(self, diff_id: DiffID) -> list[LayerBlob]:
        """Return the blobs that hold a layer, newest first."""
        rows = self._database.query(
            "SELECT digest, repository FROM layer_blobs WHERE diff_id = ? ORDER BY sequence DESC", (diff_id,)
        )
        return [LayerBlob(Digest(digest), repository) for digest, repository in rows]

    def diff_id_of(self, digest: Digest) -> DiffID | None:
        """Return the layer that a blob holds; None where that is not recorded."""
        rows = self._database.query(
            "SELECT diff_id FROM layer_blobs WHERE digest = ? ORDER BY sequence DESC LIMIT 1", (digest,)
        )
        return DiffID(Digest(rows[0][0])) if rows else None

    def forget(self, blob: LayerBlob) -> None:
        """Delete the record that a blob is in one repository.

        Raises:
            StoreError: The disk failed.
        """
        self._database.execute(
            "DELETE FROM layer_blobs WHERE digest = ? AND repository = ?", (blob.digest, blob.repository)
        )
