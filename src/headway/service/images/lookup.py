"""Finds the image that a word means: a name, an ID or a prefix of an ID (moby-behaviour 1.5).

Rule: a word is resolved once. Whether it was found by name or by ID decides what a removal does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from headway.errors import NotFoundError, PlatformMismatchError, RequestError
from headway.oci.digest import Digest, ImageID
from headway.oci.image_config import ImageConfig
from headway.oci.platform import Platform, is_satisfied_by
from headway.oci.reference import Reference, parse_any
from headway.records import ImageRecord
from headway.service.stores import Records

if TYPE_CHECKING:
    from headway.oci.descriptor import Descriptor


class Found(msgspec.Struct, frozen=True):
    """What a word means.

    Attributes:
        record: The image.
        name: The name it was found by, with its tag; None if the word is its ID, or a prefix of it.
    """

    record: ImageRecord
    name: Reference | None = None


class Lookup:
    """Finds images."""

    def __init__(self, records: Records) -> None:
        self._images = records.images
        self._references = records.references
        self._blobs = records.blobs

    def find(self, word: str) -> ImageRecord:
        """Return the image with a name, an ID or a prefix of one; raise as `resolve`."""
        return self.resolve(word).record

    def known(self, word: str) -> ImageRecord | None:
        """Return the image that a word means; None if there is none."""
        try:
            return self.find(word)
        except RequestError:
            return None

    def line(self, record: ImageRecord) -> Iterator[ImageRecord]:
        """Yield an image and its ancestors here, the nearest first."""
        yield record
        while record.parent is not None and (parent := self._images.get(record.parent)) is not None:
            yield parent
            record = parent

    def resolve(self, word: str) -> Found:
        """Return the image that a word means, in Docker's order: a whole ID, a name, a prefix of an ID.

        Raises:
            InvalidReferenceError: It is neither a name nor an ID.
            NotFoundError: There is none, or several IDs have the prefix.
        """
        wanted = parse_any(word)
        if isinstance(wanted, Digest):
            record = self._images.get(ImageID(wanted))
            if record is None:
                raise NotFoundError("image", wanted)
            return Found(record)
        name = wanted.with_default_tag()
        named = self._references.get(name)
        begun = [] if named else self._images.search(word)
        image_id = named or (begun[0] if len(begun) == 1 else None)
        record = self._images.get(image_id) if image_id is not None else None
        if record is None:
            raise NotFoundError("image", name.familiar)
        return Found(record, name if named else None)

    def for_platform(self, word: str, platform: Platform) -> ImageRecord:
        """Return the image that a word means, if it is one for `platform`.

        Raises:
            InvalidReferenceError: It is neither a name nor an ID.
            NotFoundError: There is none.
            PlatformMismatchError: It is for another one. The error names the image: some callers use it all the same.
        """
        record = self.find(word)
        system, architecture, variant = (*record.platform.split("/"), "", "")[:3]
        actual = Platform(system, architecture, variant)
        if is_satisfied_by(platform, actual) or self._is_listed_for(record, platform):
            return record
        raise PlatformMismatchError(word, record.image_id, str(platform), str(actual))

    def _is_listed_for(self, record: ImageRecord, platform: Platform) -> bool:
        """Tell whether the image's index lists it for a platform that its config does not name."""
        return any(
            entry.digest == record.manifest and entry.platform is not None and is_satisfied_by(platform, entry.platform)
            for reference in self._references.of(record.image_id)
            if reference.digest is not None
            for entry in self._entries(reference.digest)
        )

    def _entries(self, digest: Digest) -> tuple[Descriptor, ...]:
        from headway.oci.manifest import Index  # noqa: PLC0415  # lists must start fast
        from headway.service.images.documents import document_of  # noqa: PLC0415  # as above

        document = document_of(self._blobs, digest)
        return document.manifests if isinstance(document, Index) else ()

    def config(self, record: ImageRecord) -> ImageConfig:
        """Return an image's config.

        Raises:
            StoreCorruptError: It is damaged on disk.
        """
        return ImageConfig.parse(self._blobs.read(record.image_id))
