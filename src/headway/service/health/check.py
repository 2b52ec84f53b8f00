"""Checks the store: what is damaged, which images need it, and what mending it takes.

Rule 1: a fault counts only while the damaged thing is still recorded: a removal during the check is no damage.
Rule 2: the bytes to fetch are the blob's size in its manifest; where no manifest states it, nothing is guessed.
Rule 3: a check changes nothing (`service.health.repair` does).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from headway.errors import HeadwayError, NotFoundError, StoreCorruptError
from headway.interfaces.content import BlobStore
from headway.interfaces.inventory import Examine, Inventory, StoredImage, StoredTree
from headway.oci.digest import DiffID, Digest
from headway.oci.manifest import Manifest
from headway.oci.reference import Reference
from headway.service.health.damage import Checked, Damage, HurtImage, Kind, Remedy
from headway.service.images.documents import config_of, document_of

MOST_FAULTS = 20
"""How many faults of one thing are reported: a tree that was removed by hand would fill the screen."""


class Checker:
    """Checks one store."""

    def __init__(self, inventory: Inventory, blobs: BlobStore, examine: Examine) -> None:
        self._inventory = inventory
        self._blobs = blobs
        self._examine = examine

    def check(self, *, full: bool = False, tell: Callable[[int, int], None] = lambda done, of: None) -> Checked:
        """Compare records with files, trees with recipes, blobs with digests.

        Args:
            full: Whether to read every byte of every tree.
            tell: Called after each tree with the number of trees done, and of all trees.

        Raises:
            StoreCorruptError: The records cannot be read.
            StoreError: The disk failed.
        """
        records = [
            Damage(kind=Kind.RECORDS, name="database", faults=(fault,), remedy=Remedy.REBUILD)
            for fault in self._inventory.faults()
        ]
        images, trees = self._inventory.images(), self._inventory.trees()
        wanted = dict.fromkeys(digest for image in images if not image.is_lost for digest in image.blobs)
        wrong_blobs = {digest: fault for digest in wanted if (fault := self._blob_fault(digest))}
        wrong_trees: list[tuple[StoredTree, tuple[str, ...]]] = []
        for done, tree in enumerate(trees, 1):
            faults = tuple(islice(self._examine(tree, full=full), MOST_FAULTS))
            if faults and self._inventory.has(tree):
                wrong_trees.append((tree, faults))
            tell(done, len(trees))
        whole = {tree.diff_id for tree in trees} - {tree.diff_id for tree, _ in wrong_trees if tree.chain_id is None}
        plan = _Plan(self._blobs, self._still(images), whole)
        damage = [
            *records,
            *plan.blobs(wrong_blobs),
            *plan.trees(wrong_trees),
            *plan.lost(),
            *(
                Damage(kind=Kind.CONTAINER, name=name, faults=("what was written in it is gone",))
                for name in self._inventory.lost_containers()
            ),
        ]
        own = [tree for tree in trees if tree.chain_id is None]
        return Checked(
            is_full=full,
            layers=len(own),
            unread=sum(tree.recipe is None for tree in own),
            blobs=len(wanted),
            images=sum(not image.is_lost for image in images),
            damage=tuple(damage),
            hurt=plan.hurt(damage),
        )

    def _still(self, images: Sequence[StoredImage]) -> list[StoredImage]:
        """Return the images that are still recorded."""
        now = {(image.image_id, image.is_lost) for image in self._inventory.images()}
        return [image for image in images if (image.image_id, image.is_lost) in now]

    def _blob_fault(self, digest: Digest) -> str:
        try:
            for _ in self._blobs.pieces(digest):  # a kept layer's blob may have gigabytes
                pass
        except NotFoundError:
            return "it is gone"
        except StoreCorruptError as error:
            return str(error)
        return ""


class _Plan:
    """Finds which images damaged things belong to, and what mending takes; `whole` are the undamaged layers."""

    def __init__(self, blobs: BlobStore, images: Sequence[StoredImage], whole: Container[DiffID]) -> None:
        self._blobs = blobs
        self._images = images
        self._whole = whole
        self._with_blob = _by_part(images, lambda image: () if image.is_lost else image.blobs)
        self._with_layer = _by_part(images, lambda image: image.diff_ids)
        self._with_chain = _by_part(images, lambda image: image.chain_ids)
        self._sizes: dict[str, int] = {}
        self._layer_blobs: set[Digest] = set()
        for image in images:
            self._sizes.update(self._promised(image))

    def _promised(self, image: StoredImage) -> dict[str, int]:
        """Return the size of each blob of an image, by digest of the blob and by diff ID."""
        sizes: dict[str, int] = {}
        for digest in image.blobs:
            document = document_of(self._blobs, digest)
            if isinstance(document, Manifest):
                sizes[document.config.digest] = document.config.size
                self._layer_blobs.update(layer.digest for layer in document.layers)
                if len(document.layers) == len(image.diff_ids):
                    pairs = zip(image.diff_ids, document.layers, strict=True)
                    sizes |= {diff_id: layer.size for diff_id, layer in pairs}
            elif document is not None:
                sizes |= {each.digest: each.size for each in document.manifests}
        return sizes

    def blobs(self, wrong: dict[Digest, str]) -> Iterator[Damage]:
        for digest, fault in wrong.items():
            if images := self._with_blob.get(digest):
                damage = self._damage(Kind.BLOB, digest, (fault,), images)
                is_spare = digest in self._layer_blobs  # its layer is here without it, or is damaged itself
                yield msgspec.structs.replace(damage, remedy=Remedy.FORGET, fetch=0) if is_spare else damage

    def trees(self, wrong: Iterable[tuple[StoredTree, tuple[str, ...]]]) -> Iterator[Damage]:
        for tree, faults in wrong:
            if tree.chain_id is None:
                images = self._with_layer.get(tree.diff_id, [])
                damage = self._damage(Kind.LAYER, tree.diff_id, faults, images)
                yield damage if tree.in_chain else msgspec.structs.replace(damage, remedy=Remedy.FORGET)
            else:
                images = self._with_chain.get(tree.chain_id, [])
                names = tuple(map(_hurt, images))
                name = str(tree.chain_id)
                yield Damage(kind=Kind.DERIVED, name=name, faults=faults, images=names, remedy=Remedy.REBUILD)

    def lost(self) -> Iterator[Damage]:
        for image in self._images:
            if image.is_lost:
                fault = "its layers or its config were gone at a start, and it was forgotten"
                damage = self._damage(Kind.IMAGE, image.image_id, (fault,), [image])
                if self._is_here(image):
                    yield msgspec.structs.replace(damage, remedy=Remedy.REBUILD, fetch=0)
                else:
                    is_known = damage.remedy is Remedy.FETCH
                    yield msgspec.structs.replace(damage, fetch=None) if is_known else damage

    def _is_here(self, image: StoredImage) -> bool:
        """Tell whether every part of an image is here; a pulled image has more documents than its record names."""
        if any(Reference.parse(name).digest is not None for name in image.names):
            return False
        try:
            for digest in image.blobs:
                self._blobs.read(digest)
        except HeadwayError:
            return False
        config = config_of(self._blobs, image.image_id)
        return config is not None and all(diff_id in self._whole for diff_id in config.diff_ids)

    def _damage(self, kind: Kind, digest: Digest, faults: tuple[str, ...], images: Sequence[StoredImage]) -> Damage:
        is_known = any(map(sources, images))
        return Damage(
            kind=kind,
            name=str(digest),
            faults=faults,
            images=tuple(map(_hurt, images)),
            remedy=Remedy.FETCH if is_known else Remedy.NONE,
            fetch=self._sizes.get(digest) if is_known else 0,
        )

    def hurt(self, damage: Iterable[Damage]) -> tuple[StoredImage, ...]:
        """Return lost images, and those with a damaged part that can be mended; those with a known source first."""
        mended = (each for each in damage if each.remedy in (Remedy.FETCH, Remedy.REBUILD))
        ids = {image.image_id for each in mended for image in each.images}
        chosen = [image for image in self._images if image.is_lost or image.image_id in ids]
        return tuple(sorted(chosen, key=lambda image: not sources(image)))


def sources(image: StoredImage) -> list[Reference]:
    """Return the references from which exactly this image can be pulled again; empty if none is known."""
    names = [Reference.parse(name) for name in image.names]
    by_digest = [name for name in names if name.digest is not None]
    if by_digest or image.manifest is None:
        return by_digest
    return list(dict.fromkeys(name.name_only().with_digest(image.manifest) for name in names))


def _by_part(
    images: Iterable[StoredImage], parts: Callable[[StoredImage], Iterable[Digest]]
) -> dict[str, list[StoredImage]]:
    """Return the images by part: with much damage, searching all images for each part would take too long."""
    found: dict[str, list[StoredImage]] = {}
    for image in images:
        for part in dict.fromkeys(parts(image)):
            found.setdefault(part, []).append(image)
    return found


def _hurt(image: StoredImage) -> HurtImage:
    return HurtImage(image_id=image.image_id, names=tuple(Reference.parse(name).familiar for name in image.names))
