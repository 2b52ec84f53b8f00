"""Takes over the images of another engine on this machine, one by one.

Rule 1: one image is copied at a time: beyond what is kept, the copy needs room only for the largest layer of one image.
Rule 2: what the other engine knows of registries is copied, too: a later pull of the same name finds its layers here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import msgspec

from headway.errors import ConflictError, InvalidArchiveError, InvalidDigestError, InvalidReferenceError
from headway.interfaces.archives import Archive
from headway.oci.digest import Digest, ImageID, digest_fault
from headway.oci.reference import Reference
from headway.records import ImageRecord
from headway.service.archives.loading import Loader
from headway.service.images.tagging import name_image
from headway.service.stores import Stores


class ForeignImage(msgspec.Struct, frozen=True):
    """An image as another engine describes it.

    Attributes:
        image_id: Its ID there: the digest of its config, or of a manifest or index where the engine keeps those.
        tags: Its tags in their familiar form: ``alpine:3.20``.
        digests: Its digest references: ``alpine@sha256:…``.
    """

    image_id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]


class Adopted(msgspec.Struct, frozen=True):
    """What became of an image.

    Attributes:
        record: The image as it is recorded here now.
        was_here: Whether only names had to be added.
    """

    record: ImageRecord
    was_here: bool


class Adopter:
    """Takes over images."""

    def __init__(self, stores: Stores, loader: Loader) -> None:
        self._stores = stores
        self._loader = loader

    def adopt(self, image: ForeignImage, archive: Callable[[], Archive]) -> Adopted:
        """Take over one image with its names and digest references.

        Args:
            image: What is known of it.
            archive: Opens the archive that the other engine makes of it; not called if the image is here already.

        Raises:
            HeadwayError: As `Loader.load`.
        """
        known = None if digest_fault(image.image_id) else self._stores.images.get(ImageID(Digest(image.image_id)))
        record = known or self._load(archive())
        if known is not None:
            for tag in image.tags:
                name_image(self._stores, known.image_id, Reference.parse(tag))
        with self._stores.transaction():
            for text in image.digests:
                # One that cannot be read, or stands for another platform's image here, is not worth a failure.
                with suppress(ConflictError, InvalidReferenceError, InvalidDigestError):
                    self._stores.references.put_digest(Reference.parse(text), record.image_id)
        return Adopted(record, was_here=known is not None)

    def _load(self, archive: Archive) -> ImageRecord:
        loaded = self._loader.load(archive, lambda _: None)
        record = self._stores.images.get(loaded[0].image_id) if len(loaded) == 1 else None
        if record is None:
            raise InvalidArchiveError(f"it holds {len(loaded)} images where one was asked for")
        return record
