"""What the store has of an image that is pushed: its layers, its config, its own manifest, and the index above that.

Rule: documents that are missing or damaged are as if the image had come without them; its config must be here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain, islice

from headway.errors import HeadwayError
from headway.oci.descriptor import Descriptor
from headway.oci.digest import DiffID, Digest, chain_ids
from headway.oci.manifest import Index, Manifest
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.records import ImageRecord
from headway.service.images.documents import document_of
from headway.service.images.lookup import Lookup
from headway.service.pushing.layer_pushes import LayerToPush
from headway.service.registries.remote_image import NESTED_INDEXES
from headway.service.stores import Stores


class PushDocuments:
    """Reads what is known of an image; every method blocks.

    Args:
        stores: Where it is.
        reference: What it is pushed as.
    """

    def __init__(self, stores: Stores, reference: Reference) -> None:
        self._stores = stores
        self._lookup = Lookup(stores)
        self._reference = reference

    def needed(self, record: ImageRecord) -> list[Digest]:
        """Return everything of an image that has to stay until it is pushed.

        Raises:
            StoreCorruptError: Its config is damaged on disk.
        """
        diff_ids = self._lookup.config(record).diff_ids
        blobs = [layer.digest for layer in self._layers_came_as(record, self.own_manifest(record)) if layer is not None]
        return [record.image_id, *diff_ids, *chain_ids(diff_ids), *blobs]

    def layers(self, record: ImageRecord, own: Manifest | None) -> list[LayerToPush]:
        """Return an image's layers, bottom first.

        Args:
            record: The image.
            own: What `own_manifest` returns of it.

        Raises:
            StoreCorruptError: As for `needed`.
        """
        trees = self._stores.layers.trees(record.chain_id)
        diff_ids = self._lookup.config(record).diff_ids
        came_as = self._layers_came_as(record, own)
        known = {blob.digest for diff_id in diff_ids for blob in self._stores.metadata.blobs_of(diff_id)}
        unfit = self._not_gzipped(known - {layer.digest for layer in came_as if layer is not None})
        is_whole = own is not None and all(self._stores.blobs.size(layer.digest) is not None for layer in own.layers)
        return [
            LayerToPush(diff_id, tree.report.size, layer, self._reference.familiar, unfit, is_whole)
            for diff_id, tree, layer in zip(diff_ids, trees, came_as, strict=True)
        ]

    def platform(self, record: ImageRecord) -> Platform:
        """Return what an image is for.

        Raises:
            StoreCorruptError: As for `needed`.
        """
        return self._lookup.config(record).platform

    def own_manifest(self, record: ImageRecord) -> Manifest | None:
        """Return the manifest that an image came with; or, where it was made here, was pushed with before."""
        names = self._stores.references.of(record.image_id)
        names.sort(key=lambda name: name.name_only() != self._reference.name_only())
        digests = [record.manifest, *(name.digest for name in names)]
        layers = len(self._lookup.config(record).diff_ids)
        for document in map(self._document, filter(None, digests)):
            if not isinstance(document, Manifest) or len(document.layers) != layers:
                continue
            if document.config.digest == record.image_id:
                return document
        return None

    def _layers_came_as(self, record: ImageRecord, own: Manifest | None) -> list[Descriptor | None]:
        """Return what each of an image's layers came as, bottom first; None where that is not known.

        Args:
            record: The image.
            own: The manifest that it came with; without one, that of the nearest image that it was made from counts.
        """
        diff_ids = self._lookup.config(record).diff_ids
        made_from = () if own is not None else islice(self._lookup.line(record), 1, None)
        manifests = chain([own], (self._manifest_below(diff_ids, image) for image in made_from))
        layers = next((manifest.layers for manifest in manifests if manifest is not None), ())
        return [*layers, *[None] * (len(diff_ids) - len(layers))]

    def _manifest_below(self, diff_ids: Sequence[DiffID], image: ImageRecord) -> Manifest | None:
        """Return an image's manifest where its layers are the lowest of these: an archive may name any parent."""
        try:
            own, below = self.own_manifest(image), self._lookup.config(image).diff_ids
        except HeadwayError:
            return None
        return own if diff_ids[: len(below)] == below else None

    def _not_gzipped(self, blobs: Collection[Digest]) -> frozenset[Digest]:
        """Return those of some layers' blobs that are packed otherwise than with gzip, as a manifest here says.

        Every manifest is read for that, so nothing is where there are no blobs to tell apart.
        """
        if not blobs:
            return frozenset()
        named = {name.digest for name, _ in self._stores.references.list()}
        came_with = {record.manifest for record in self._stores.images.list()}
        documents = map(self._document, filter(None, named | came_with))
        layers = (layer for each in documents if isinstance(each, Manifest) for layer in each.layers)
        return frozenset(
            layer.digest for layer in layers if layer.digest in blobs and not layer.media_type.endswith("gzip")
        )

    def index_to_push(self, record: ImageRecord, manifest: Digest) -> Index | None:
        """Return the index that a tag is pushed as; None where it was pulled as the platform's manifest alone.

        One image may have digests of both, since two tags of its repository stand for them.
        """
        pulled_as = self._pulled_as(record)
        return None if pulled_as == manifest else self.index_over(record, manifest, first=pulled_as)

    def _pulled_as(self, record: ImageRecord) -> Digest | None:
        """Return what the tag stood for when it was pulled; None where no record of a pull says that of this image."""
        wanted, image_id = str(self._reference), record.image_id
        pulls = (each for each in self._stores.pulls.list() if each.image_id == image_id)
        return next((each.digest for each in pulls if each.wish.reference == wanted), None)

    def index_over(self, record: ImageRecord, manifest: Digest, *, first: Digest | None = None) -> Index | None:
        """Return an index that an image came with, lists its manifest, and has a name in one of its repositories.

        Another platform's image may have the index to its name (`service.images.recording`).

        Args:
            record: The image.
            manifest: Its manifest.
            first: The index to prefer.
        """
        references = self._stores.references
        repositories = {name.name_only() for name in references.of(record.image_id)}
        for digest in sorted(self._stores.images.blobs_of(record.image_id), key=lambda each: each != first):
            if digest == manifest or not any(references.get(each.with_digest(digest)) for each in repositories):
                continue
            document = self._document(digest)
            if isinstance(document, Index) and self._lists(document, manifest):
                return document
        return None

    def _lists(self, index: Index, manifest: Digest) -> bool:
        """Tell whether an index lists a manifest, itself or by an index in it that is here."""
        seen, indexes = set[Digest](), [index]
        for _ in range(NESTED_INDEXES):
            listed = {entry.digest for each in indexes for entry in each.manifests} - seen  # one may list another often
            if manifest in listed:
                return True
            seen |= listed
            indexes = [document for document in map(self._document, listed) if isinstance(document, Index)]
        return False

    def index(self, digest: Digest) -> Index | None:
        """Return an index that is here."""
        document = self._document(digest)
        return document if isinstance(document, Index) else None

    def image_of(self, manifest: Digest) -> ImageRecord | None:
        """Return the image here that came with a manifest."""
        return next((record for record in self._stores.images.list() if record.manifest == manifest), None)

    def for_platform(self, record: ImageRecord, platform: Platform, name: Reference) -> ImageRecord:
        """Return the image for a platform: the one that the name stands for, or another of the same index.

        Raises:
            PlatformMismatchError: Neither is here.
        """
        index = self.index_over(record, record.manifest) if record.manifest is not None else None
        chosen = index.choose(platform) if index is not None else None
        other = self.image_of(chosen.digest) if chosen is not None else None
        if other is not None:
            return other
        return self._lookup.for_platform(name.familiar, platform)

    def _document(self, digest: Digest) -> Manifest | Index | None:
        return document_of(self._stores.blobs, digest)
