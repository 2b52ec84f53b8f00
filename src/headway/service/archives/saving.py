"""Saves images into an archive: `docker save` (moby-behaviour 6.11).

Rule 1: everything that can be known is known before the first byte: which images, which blobs, which sizes.
Rule 2: if the registry's own blobs are here, the archive holds them and its manifest, byte for byte; otherwise each
        layer's tar, made from tree and recipe and verified while it is written, and a manifest that describes those.
Rule 3: documents come first, so that whoever loads the stream knows what each layer is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from headway.errors import NoRecipeError, NotFoundError
from headway.interfaces.archives import FileToWrite, LayerTars, WriteArchive
from headway.oci.descriptor import Descriptor
from headway.oci.digest import DiffID, Digest, ImageID, chain_ids
from headway.oci.image_archive import SavedImage, blob_name, documents, made_manifest, tar_descriptor
from headway.oci.manifest import Manifest, parse_manifest
from headway.oci.platform import Platform
from headway.oci.reference import Reference, parse_any
from headway.records import ImageRecord
from headway.service.images.lookup import Lookup
from headway.service.stores import Records, Stores


class Saver:
    """Writes images."""

    def __init__(self, records: Records, *, tars: LayerTars, write: WriteArchive) -> None:
        self._records = records
        self._lookup = Lookup(records)
        self._tars = tars
        self._write = write

    def plan(self, words: Iterable[str], platform: Platform | None = None) -> list[SavedImage]:
        """Return what goes into an archive of the images that `words` mean, each once, in this order.

        Args:
            words: Names and IDs. A name without a tag means every tag of the repository, or else ``latest``; an image
                given by ID or digest reference is saved without a name.
            platform: The platform that each must have.

        Raises:
            NotFoundError: An image is not here, or not for `platform`.
            NoRecipeError: A layer's tar cannot be made again.
            StoreError: The disk failed.
        """
        names: dict[ImageID, list[Reference]] = {}
        for word in words:
            for record, name in self._meant(word, platform):
                names.setdefault(record.image_id, []).extend([name] if name is not None else [])
        return [self._planned(self._lookup.find(image_id), names) for image_id in names]

    def archive(self, images: Sequence[SavedImage]) -> Iterator[bytes]:
        """Yield the archive of what `plan` returned.

        Raises:
            StoreCorruptError: While iterating: something is damaged on disk; the bytes yielded so far are worthless.
            StoreError: While iterating: the disk failed.
        """
        yield from self._write(self._files(images))

    def _meant(self, word: str, platform: Platform | None) -> list[tuple[ImageRecord, Reference | None]]:
        wanted = parse_any(word)
        if isinstance(wanted, Reference) and wanted == wanted.name_only():
            tags = [name for name in self._records.references.within(wanted) if name.tag]
            if tags:
                return [(self._found(str(tag), platform), tag) for tag in tags]
        record = self._found(word, platform)
        name = self._lookup.resolve(word).name  # ``sha256:12ab`` may be a tag, and is the beginning of an ID else
        return [(record, name if name is not None and name.digest is None else None)]

    def _found(self, word: str, platform: Platform | None) -> ImageRecord:
        return self._lookup.find(word) if platform is None else self._lookup.for_platform(word, platform)

    def _planned(self, record: ImageRecord, names: dict[ImageID, list[Reference]]) -> SavedImage:
        config = self._lookup.config(record)
        manifest = self._own_manifest(record)
        if manifest is None:
            layers = [self._tar(diff_id, record, names[record.image_id]) for diff_id in config.diff_ids]
            manifest = made_manifest(record.image_id, self._records.blobs.size(record.image_id) or 0, layers)
        return SavedImage(
            image_id=record.image_id,
            platform=config.platform,
            manifest=manifest,
            diff_ids=config.diff_ids,
            layers=manifest.layers,
            names=tuple(dict.fromkeys(names[record.image_id])),
            parent=record.parent if record.parent in names else None,
        )

    def _own_manifest(self, record: ImageRecord) -> Manifest | None:
        """Return the manifest that the image came with, if everything that it names is here."""
        blobs = self._records.blobs
        if record.manifest is None or blobs.size(record.manifest) is None:
            return None
        manifest = parse_manifest(blobs.read(record.manifest), "")
        if not isinstance(manifest, Manifest):
            return None
        is_whole = all(blobs.size(layer.digest) == layer.size for layer in manifest.layers)
        return manifest if is_whole and manifest.config.digest == record.image_id else None

    def _tar(self, diff_id: DiffID, record: ImageRecord, names: Sequence[Reference]) -> Descriptor:
        size = self._tars.size(diff_id)
        if size is None:
            if self._records.images.get(record.image_id) is None:  # removed since it was found, and its layers with it
                raise NotFoundError("image", record.image_id)
            raise NoRecipeError(names[0].familiar if names else record.image_id.short, diff_id)
        return tar_descriptor(diff_id, size)

    def _files(self, images: Sequence[SavedImage]) -> Iterator[FileToWrite]:
        for name, data in documents(images).items():
            yield name, len(data), (data,)
        written: set[Digest] = set()
        for image in images:
            config = self._records.blobs.read(image.image_id)
            for digest, data in ((image.manifest.digest, image.manifest.data), (image.image_id, config)):
                if digest not in written:
                    written.add(digest)
                    yield blob_name(digest), len(data), (data,)
        for image in images:
            for diff_id, layer in zip(image.diff_ids, image.layers, strict=True):
                if layer.digest not in written:
                    written.add(layer.digest)
                    yield blob_name(layer.digest), layer.size, self._layer(diff_id, layer)

    def _layer(self, diff_id: DiffID, layer: Descriptor) -> Iterator[bytes]:
        if self._records.blobs.size(layer.digest) is not None:
            return self._records.blobs.pieces(layer.digest)
        return self._tars.pieces(diff_id)


def saved(stores: Stores, saver: Saver, words: Iterable[str], platform: Platform | None = None) -> Iterator[bytes]:
    """Yield an archive of images, which nobody can remove meanwhile, and report the events (moby-behaviour 8.2).

    Raises:
        HeadwayError: As `Saver.plan`, before the first piece, and as `Saver.archive`.
    """
    images = saver.plan(words, platform)
    with _kept(stores, images):
        yield from saver.archive(images)
    for image in images:
        stores.events.tell_of_image("save", image.image_id, image.image_id, stores.images.get(image.image_id))


@contextmanager
def _kept(stores: Stores, images: Sequence[SavedImage]) -> Iterator[None]:
    """Lease everything that an archive is made of."""
    subject = Digest.of(" ".join(image.image_id for image in images).encode())
    with stores.leases.hold("save", subject) as lease:
        contents = {digest for image in images for digest in _contents(image)}
        with stores.transaction():
            lease.add(sorted(contents))
            gone = [image.image_id for image in images if stores.images.get(image.image_id) is None]
        try:
            if gone:
                raise NotFoundError("image", gone[0])
            yield
        finally:
            with stores.transaction():
                lease.drop()


def _contents(image: SavedImage) -> list[Digest]:
    chain = chain_ids(image.diff_ids)
    return [image.image_id, image.manifest.digest, *image.diff_ids, *chain, *(layer.digest for layer in image.layers)]
