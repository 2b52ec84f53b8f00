"""Mends what a check has found: fetches damaged blobs and layers again, and derives anew the trees built on them.

Rule 1: only what is damaged is fetched: damaged blobs and layers count as absent, all others as present.
Rule 2: an image stays listed, and its layers stay in place, until the new ones replace them.
Rule 3: an image that cannot be mended does not prevent mending the others.
Rule 4: an image that was forgotten at a start comes back once its layers are all here, wherever they came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import msgspec

from headway.errors import ConflictError, HeadwayError
from headway.interfaces.inventory import Mending, StoredImage
from headway.oci.digest import ChainID, DiffID, Digest, ImageID
from headway.oci.reference import Reference
from headway.service.health.check import sources
from headway.service.health.damage import Checked, Kind, Remedy
from headway.service.images.documents import config_of
from headway.service.images.recording import record_image
from headway.service.images.tagging import name_image
from headway.service.pulling.pull import Puller
from headway.service.registries.remote_image import PullRequest
from headway.service.stores import Stores
from headway.service.transfers.progress import Report

AskFor = Callable[[Reference, str], PullRequest]
"""Returns the request for an image, given its reference and its platform as a string."""


class Repaired(msgspec.Struct, frozen=True, kw_only=True):
    """What a repair did.

    Attributes:
        images: How many images were brought back.
        received: Bytes that were received for them.
        derived: How many trees were derived again.
        failed: Images that could not be mended, and why.
    """

    images: int = 0
    received: int = 0
    derived: int = 0
    failed: tuple[tuple[str, HeadwayError], ...] = ()


def damaged_layers(checked: Checked) -> set[DiffID]:
    """Return the layers whose trees are to be fetched again."""
    return {DiffID(Digest(name)) for name in _names(checked, Kind.LAYER, Remedy.FETCH)}


def damaged_chains(checked: Checked) -> set[ChainID]:
    """Return the chains whose trees are to be derived again."""
    return {ChainID(Digest(name)) for name in _names(checked, Kind.DERIVED, Remedy.REBUILD)}


def _names(checked: Checked, kind: Kind, remedy: Remedy) -> list[str]:
    return [damage.name for damage in checked.damage if damage.kind is kind and damage.remedy is remedy]


class Repairer:
    """Mends one store, opened for changes.

    Args:
        stores: Everything below the data root; its layer store is `mending`.
        mending: Treats damaged trees as absent.
        ask_for: Returns the request for an image.
    """

    def __init__(self, stores: Stores, mending: Mending, ask_for: AskFor) -> None:
        self._stores = stores
        self._mending = mending
        self._ask_for = ask_for

    def prepare(self, checked: Checked) -> None:
        """Remove damaged blobs, which are of no use, and damaged layers that no image needs.

        Raises:
            ConflictError: A layer to be replaced is mounted.
            StoreError: The disk failed.
        """
        self._require_unmounted(checked.hurt)
        for name in _names(checked, Kind.BLOB, Remedy.FETCH):
            self._stores.blobs.delete(Digest(name))
        for name in _names(checked, Kind.BLOB, Remedy.FORGET):
            self._mending.forget_layer_blob(Digest(name))
            self._stores.blobs.delete(Digest(name))
        for name in _names(checked, Kind.LAYER, Remedy.FORGET):
            self._mending.forget_stray(DiffID(Digest(name)))

    def _require_unmounted(self, images: Iterable[StoredImage]) -> None:
        chains = {chain_id for image in images for chain_id in image.chain_ids}
        for mount in self._stores.mounts.list():
            if mount.chain_id in chains:
                raise ConflictError(f"{mount.target} shows layers that are to be replaced: unmount it first")

    async def repair(self, checked: Checked, puller: Puller, report: Report) -> Repaired:
        """Fetch what is damaged, and derive again the trees built on it.

        Raises:
            StoreError: The disk failed while trees were derived again.
        """
        wanted = {
            image.image_id for damage in checked.damage if damage.remedy is Remedy.FETCH for image in damage.images
        }
        brought = received = 0
        failed: dict[ImageID, tuple[str, HeadwayError]] = {}
        for image in checked.hurt:
            references = sources(image)
            if not references or image.image_id not in wanted:
                continue
            try:
                received += await self._bring(image, references, puller, report)
                brought += 1
            except HeadwayError as error:
                failed[image.image_id] = (references[-1].familiar, error)
        derived = len(self._mending.derive_again())
        for image in checked.hurt:
            if self._record_anew(image):
                brought += 1
                failed.pop(image.image_id, None)  # others have brought what it lacked
        return Repaired(images=brought, received=received, derived=derived, failed=tuple(failed.values()))

    async def _bring(self, image: StoredImage, references: Sequence[Reference], puller: Puller, report: Report) -> int:
        """Pull an image by the first of its names that works; return the number of bytes received."""
        *others, last = references
        for reference in others:
            with suppress(HeadwayError):
                return await self._bring_by(image, reference, puller, report)
        return await self._bring_by(image, last, puller, report)

    async def _bring_by(self, image: StoredImage, reference: Reference, puller: Puller, report: Report) -> int:
        done = await puller.pull(self._ask_for(reference, image.platform), report)
        if done.image_id == image.image_id:
            await puller.tools.executors.database(self._give_names_back, image)
        return done.receipt.received

    def _record_anew(self, image: StoredImage) -> bool:
        """Record again an image that was forgotten at a start, if its config and all its layers are here.

        An image that was pulled again since then gets its other names back. Return whether there was anything to do.
        """
        if self._stores.images.get(image.image_id) is not None:
            return image.is_lost and self._give_names_back(image)
        config = config_of(self._stores.blobs, image.image_id)
        if config is None or not all(map(self._stores.layers.has_tree, config.diff_ids)):
            return False
        chain_id = self._stores.layers.commit_chain(config.diff_ids)
        with self._stores.transaction():
            record_image(self._stores, config, chain_id, image.manifest, image.blobs)
            self._give_names_back(image)
        return True

    def _give_names_back(self, image: StoredImage) -> bool:
        """Give a forgotten image its names back, except those that other images have taken.

        Return whether there were any.
        """
        free = [name for name in map(Reference.parse, image.names) if self._stores.references.get(name) is None]
        for name in free:
            if name.digest is None:
                name_image(self._stores, image.image_id, name)
            else:
                self._stores.references.put_digest(name, image.image_id)
        return bool(free)
