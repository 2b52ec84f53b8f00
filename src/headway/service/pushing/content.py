"""Finds or makes the blobs that a push sends.

Rule 1: a blob in the store is sent as it is. Otherwise the layer's tar is made from its tree and recipe, packed, and
        put into a spool file until the push is over, so that bytes that are sent again are the same.
Rule 2: a tar is verified before any byte of it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import msgspec

from headway.errors import NoRecipeError
from headway.interfaces.archives import LayerTars
from headway.interfaces.content import BlobFile, Spool
from headway.interfaces.distribution import DistributionMetadata
from headway.interfaces.packing import Packer
from headway.oci.descriptor import Descriptor
from headway.oci.digest import DiffID, Digest
from headway.service.stores import Stores

REPORT_BYTES = 1 << 20


class Content(msgspec.Struct, frozen=True):
    """A blob to send.

    Attributes:
        digest: Its digest.
        size: Its length in bytes.
        file: Its bytes; to be closed by whoever received this.
    """

    digest: Digest
    size: int
    file: BlobFile


class LayerContents:
    """Finds and makes layers' blobs; every method blocks.

    Args:
        stores: Where blobs may be.
        tars: Makes the tars of layers.
        packer: Compresses tars into blobs.
        spool: Opens a spool file for a packed layer.
    """

    def __init__(self, stores: Stores, *, tars: LayerTars, packer: Packer, spool: Callable[[], Spool]) -> None:
        self._blobs = stores.blobs
        self._metadata: DistributionMetadata = stores.metadata
        self._tars = tars
        self._packer = packer
        self._spool = spool

    def blob(self, digest: Digest) -> Content | None:
        """Return a blob of the store; None where the store does not have it.

        Raises:
            StoreError: The disk failed.
        """
        size = self._blobs.size(digest)
        return None if size is None else Content(digest, size, self._blobs.open(digest))

    def retained(self, diff_id: DiffID, own: Descriptor | None, unfit: Collection[Digest]) -> Content | None:
        """Return a blob of the store that holds a layer; None where it has none.

        Args:
            diff_id: The layer.
            own: The blob that the image came with, which is the first choice; None where it is not known.
            unfit: Blobs that must not be used.

        Raises:
            StoreError: The disk failed.
        """
        known = dict.fromkeys(each.digest for each in self._metadata.blobs_of(diff_id) if each.digest not in unfit)
        candidates = [*([own.digest] if own is not None else []), *known]
        return next(filter(None, map(self.blob, candidates)), None)

    def packed(
        self, diff_id: DiffID, image: str, progress: Callable[[int, int], None], stopped: Callable[[], bool]
    ) -> Content:
        """Return a newly packed blob of a layer.

        Args:
            diff_id: The layer.
            image: Name of the image, for errors.
            progress: Called with the number of bytes of the tar that are packed, and its size.
            stopped: Called for each piece: whether to give up, since nobody wants the blob any more.

        Raises:
            NoRecipeError: Its tar cannot be made.
            InterruptedError: It was stopped.
            StoreError: The disk failed.
        """
        size = self._tars.size(diff_id)
        if size is None:
            raise NoRecipeError(image, diff_id)
        spool = self._spool()
        try:
            packed = self._packer(_watched(self._tars.pieces(diff_id), size, progress, stopped), spool.write)
        except BaseException:
            spool.close()
            raise
        return Content(packed.digest, packed.size, spool)


def _watched(
    pieces: Iterator[bytes], size: int, progress: Callable[[int, int], None], stopped: Callable[[], bool]
) -> Iterator[bytes]:
    done = told = 0
    for piece in pieces:
        if stopped():
            raise InterruptedError
        yield piece
        done += len(piece)
        if done - told >= REPORT_BYTES:
            told = done
            progress(done, size)
