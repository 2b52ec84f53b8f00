"""Checks whether layers will fit on the disk before they are fetched.

Rule: layers that cannot fit are refused before a byte is fetched; layers that may not fit get a warning, and a try.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headway.distribution.room import Experience, Fit, Forecast, Incoming, Space, fit, forecast
from headway.errors import HeadwayError, NoRoomError
from headway.interfaces.content import IngestStore
from headway.oci.descriptor import Descriptor
from headway.oci.digest import DiffID
from headway.oci.manifest import Manifest
from headway.oci.media_types import is_compressed_layer
from headway.service.images.documents import document_of
from headway.service.stores import Records

NEWEST_IMAGES = 20
"""From how many images to learn the usual size of layers; each costs a read of its manifest."""


class Preflight:
    """Compares the space that an image takes with the free space.

    Args:
        records: What is here.
        ingests: What has arrived of unfinished downloads.
        space: Returns the free space.
        at_once: How many layers are fetched and unpacked at the same time.
        place: Where the data is, for messages.
    """

    def __init__(
        self, records: Records, ingests: IngestStore, *, space: Callable[[], Space], at_once: int, place: str
    ) -> None:
        self._records = records
        self._ingests = ingests
        self.space = space
        self._at_once = at_once
        self._place = place

    def check(self, layers: Iterable[tuple[DiffID, Descriptor]]) -> str:
        """Return a warning if layers will probably not fit, and nothing otherwise.

        Raises:
            NoRoomError: They cannot fit.
            StoreError: The disk failed.
        """
        needs = self.forecast(layers)
        space = self.space()
        match fit(needs, space):
            case Fit.IMPOSSIBLE:
                raise NoRoomError(
                    self._place,
                    needed=needs.least,
                    free=space.bytes,
                    to_fetch=needs.to_fetch,
                    inodes=None if space.inodes is None else (needs.least_inodes, space.inodes),
                )
            case Fit.DOUBTFUL:
                return _doubt(needs, space, self._place)
            case Fit.LIKELY:
                return ""

    def forecast(self, layers: Iterable[tuple[DiffID, Descriptor]]) -> Forecast:
        """Return the space that layers which are not here will take."""
        is_here = self._records.layers.has_tree
        coming = {descriptor.digest: descriptor for diff_id, descriptor in layers if not is_here(diff_id)}
        incoming = [
            Incoming(each.size, min(each.size, self._ingests.held(each.digest)), is_compressed_layer(each.media_type))
            for each in coming.values()
        ]
        experience = self._experience() if incoming else Experience()
        return forecast(incoming, experience, at_once=self._at_once)

    def _experience(self) -> Experience:
        """Return the sizes that the compressed layers of the newest images unpacked to, each layer once."""
        seen: dict[str, tuple[int, int, int]] = {}
        for record in self._records.images.list()[:NEWEST_IMAGES]:
            manifest = document_of(self._records.blobs, record.manifest) if record.manifest else None
            if not isinstance(manifest, Manifest):
                continue
            try:
                trees = self._records.layers.trees(record.chain_id)
            except HeadwayError:  # a damaged image teaches nothing; others find and say what is wrong with it
                continue
            for descriptor, tree in zip(manifest.layers, trees, strict=False):
                if is_compressed_layer(descriptor.media_type):
                    # A tree made for a chain shares its blocks with the layer's own, and reports few.
                    unpacked = max(tree.report.disk_bytes, tree.report.size)
                    seen[descriptor.digest] = (descriptor.size, unpacked, tree.report.entries)
        compressed, unpacked, entries = (
            (sum(column) for column in zip(*seen.values(), strict=True)) if seen else (0,) * 3
        )
        return Experience(len(seen), compressed, unpacked, entries)


def _doubt(needs: Forecast, space: Space, place: str) -> str:
    if needs.likely > space.bytes:
        return (
            f"{place} will probably be too small: about {needs.likely:,} bytes are needed while the layers unpack "
            f"({needs.basis}), {space.bytes:,} are free; going on"
        )
    return (
        f"{place} will probably run out of inodes: about {needs.likely_inodes:,} are needed, {space.inodes:,} are free"
    )
