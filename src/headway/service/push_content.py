"""Where the bytes come from that a push sends.

Rule 1: a blob that is here is sent as it is. Otherwise the layer's tar is made from tree and recipe and packed, and put
        aside until the push is over: whatever is sent again is the same.
Rule 2: a tar is verified before any of its bytes leaves.
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
        digest: Of it.
        size: Of it, in bytes.
        file: Its bytes; whoever has the content closes it.
    """

    digest: Digest
    size: int
    file: BlobFile


class LayerContents:
    """Finds and makes layers' blobs; every method blocks.

    Args:
        stores: Where they may be.
        tars: Makes layers' tars.
        packer: Packs them.
        spool: Opens what packed layers are put aside in.
    """

    def __init__(self, stores: Stores, *, tars: LayerTars, packer: Packer, spool: Callable[[], Spool]) -> None:
        self._blobs = stores.blobs
        self._metadata: DistributionMetadata = stores.metadata
        self._tars = tars
        self._packer = packer
        self._spool = spool

    def blob(self, digest: Digest) -> Content | None:
        """Return a blob that is here, None where it is not.

        Raises:
            StoreError: The disk failed.
        """
        size = self._blobs.size(digest)
        return None if size is None else Content(digest, size, self._blobs.open(digest))

    def retained(self, diff_id: DiffID, own: Descriptor | None, unfit: Collection[Digest]) -> Content | None:
        """Return a blob that holds a layer and is here, the one that the image came with first, but none of `unfit`.

        Raises:
            StoreError: The disk failed.
        """
        known = dict.fromkeys(each.digest for each in self._metadata.blobs_of(diff_id) if each.digest not in unfit)
        candidates = [*([own.digest] if own is not None else []), *known]
        return next(filter(None, map(self.blob, candidates)), None)

    def packed(
        self, diff_id: DiffID, image: str, progress: Callable[[int, int], None], stopped: Callable[[], bool]
    ) -> Content:
        """Return a layer, packed anew.

        Args:
            diff_id: The layer.
            image: What it is for, for errors.
            progress: Told how many bytes of the tar are packed, and how many it has.
            stopped: Asked now and then whether nobody wants it any more.

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
