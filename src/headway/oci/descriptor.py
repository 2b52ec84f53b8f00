"""Descriptors: media type, digest and size of some content (image-spec, descriptor.md)."""

from __future__ import annotations

import msgspec

from headway.errors import InvalidDocumentError
from headway.oci.digest import Digest, digest_fault
from headway.oci.document import Document, as_object, join, object_at, text_at, text_map_at, texts_at
from headway.oci.platform import Platform

MAX_SIZE = 2**63 - 1
"""Largest size that a document may give: it is an int64 in Go."""

_ATTESTATION = "attestation-manifest"


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """The reference to a piece of content in a manifest or index.

    Attributes:
        media_type: Its media type as written, which Headway may not know.
        digest: Digest of its bytes as transferred.
        size: Its length in bytes.
        urls: Other places to fetch a non-distributable layer from.
        annotations: Texts by key.
        platform: Platform of an image; set on the entries of an index.
    """

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    platform: Platform | None = None

    @classmethod
    def from_document(cls, value: object, where: str) -> Descriptor:
        """Return the descriptor that a document holds; unknown keys are ignored.

        A missing media type counts as an empty one, as in Docker: old clients left it out.

        Args:
            value: Decoded JSON.
            where: Its path in the document, for errors: ``layers[2]``.

        Raises:
            InvalidDocumentError: Not an object, no usable digest or size, or a known key of another type.
        """
        document = as_object(value, where)
        return cls(
            media_type=text_at(document, "mediaType", where),
            digest=as_digest(text_at(document, "digest", where), join(where, "digest")),
            size=_size_at(document, where),
            urls=texts_at(document, "urls", where),
            annotations=text_map_at(document, "annotations", where),
            platform=_platform_at(document, where),
        )

    def to_document(self) -> dict[str, object]:
        """Return it as a JSON object without its platform; empty values are left out."""
        document: dict[str, object] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.urls:
            document["urls"] = list(self.urls)
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        return document

    @property
    def is_attestation(self) -> bool:
        """Whether it is an attestation, which BuildKit puts beside an image; it is not an image itself."""
        is_marked = self.annotations.get("vnd.docker.reference.type") == _ATTESTATION
        return is_marked or (self.platform is not None and self.platform.is_unknown)


def as_digest(text: str, where: str) -> Digest:
    """Return `text` as a digest.

    Raises:
        InvalidDocumentError: It is empty or not a digest.
    """
    fault = digest_fault(text) if text else "missing"
    if fault:
        raise InvalidDocumentError(f"{where}: {fault}" + (f": {text!r}" if text else ""))
    return Digest(text)


def _size_at(document: Document, where: str) -> int:
    size = document.get("size")
    # Not isinstance: bool is a subclass of int. And 1.0 is not an integer to other readers of the document.
    if type(size) is not int or not 0 <= size <= MAX_SIZE:
        raise InvalidDocumentError(f"{join(where, 'size')} must be a number of bytes")
    return size


def _platform_at(document: Document, where: str) -> Platform | None:
    mapping = object_at(document, "platform", where)
    if not mapping:
        return None
    path = join(where, "platform")
    return Platform(
        os=text_at(mapping, "os", path),
        architecture=text_at(mapping, "architecture", path),
        variant=text_at(mapping, "variant", path),
        os_version=text_at(mapping, "os.version", path),
        os_features=texts_at(mapping, "os.features", path),
    )
