"""Makes an image here: a layer from a tar on top of another image's layers, a config, and a name for it.

Rule 1: publish last: tree, chain, config, and then image, name and events in one transaction. After a failure before
        that, nothing is listed, and the next prune removes the remains.
Rule 2: nobody else has the bytes of such a layer: its recipe is always recorded, so that it can be pushed and saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

import msgspec

from headway.errors import StoreError
from headway.interfaces.files import Applier, TarSource
from headway.interfaces.garbage import Lease
from headway.oci.digest import DiffID, ImageID, chain_ids
from headway.oci.image_config import ImageConfig, check_depth
from headway.records import ImageRecord
from headway.service.images.recording import record_image
from headway.service.stores import Stores


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of an image.

    Attributes:
        purpose: What its lease is for: ``import``, ``commit``.
        below: The layers under the new one, bottom first; they are here, and the caller protects them from a prune.
        parent: The image that it is made from.
        config: Returns its config, given the new layer; None stands for no new layer.
        recorded: Called in the transaction that records the image; gives it its name, and reports the event.
    """

    purpose: str
    below: Sequence[DiffID] = ()
    parent: ImageID | None = None
    config: Callable[[DiffID | None], bytes]
    recorded: Callable[[ImageRecord], None]


class ImageMaker:
    """Makes images in one store.

    Args:
        stores: Where they are put.
        applier: Unpacks a layer, and records its recipe.
    """

    def __init__(self, stores: Stores, applier: Applier) -> None:
        self._stores = stores
        self._applier = applier

    def make(
        self, plan: Plan, source: TarSource | None, progress: Callable[[int], None] = lambda _: None
    ) -> ImageRecord:
        """Make an image and return its record; this blocks.

        Args:
            plan: The plan of the image.
            source: Its new layer's tar, compressed in any way; None for no new layer.
            progress: Called with the number of bytes of the source that have been read.

        Raises:
            InvalidLayerError: The tar is broken, or does not fit what is below.
            UnsupportedError: It would have more layers than can be mounted.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """
        check_depth(len(plan.below) + (source is not None))
        layers = self._stores.layers
        with ExitStack() as private:
            diff_id = None
            if source is not None:
                directory = private.enter_context(layers.new_tree())
                diff_id, report = self._applier(source, directory, progress)
            data = plan.config(diff_id)
            config = ImageConfig.parse(data)
            with self._leased(plan.purpose, config) as lease:
                if diff_id is not None:
                    layers.commit_tree(diff_id, directory, report)
                return self._publish(plan, config, data, lease)

    @contextmanager
    def _leased(self, purpose: str, config: ImageConfig) -> Iterator[Lease]:
        """Lease what an image needs until it is recorded, or until that fails."""
        with self._stores.leases.hold(purpose, config.image_id) as lease:
            lease.add((config.image_id, *config.diff_ids, *chain_ids(config.diff_ids)))
            try:
                yield lease
            except Exception:
                with suppress(StoreError):  # then a prune of what is unfinished takes it
                    lease.drop()
                raise

    def _publish(self, plan: Plan, config: ImageConfig, data: bytes, lease: Lease) -> ImageRecord:
        stores = self._stores
        chain_id = stores.layers.commit_chain(config.diff_ids)
        stores.blobs.put(config.image_id, data)
        with stores.transaction():
            record = record_image(stores, config, chain_id, parent=plan.parent)
            plan.recorded(record)
            lease.drop()
        return record
