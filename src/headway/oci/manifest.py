"""Manifests and indexes (image-spec, manifest.md and image-index.md; Docker's schema 2 and manifest list).

Rule 1: the bytes are kept as received and never encoded again: the digest is over them.
Rule 2: a document has one meaning. One that could be read as an image and as an index is refused
        (CVE-2021-41190), and so is a body that contradicts its content type.
Rule 3: parsing is strict about what Headway relies on (digests, sizes, a config and layers), and otherwise tolerant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from headway.errors import InvalidDocumentError, UnsupportedError
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.oci.document import Document, decode_object, list_at, text_at
from headway.oci.media_types import (
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA1_MANIFESTS,
    essence,
    is_generic,
    is_index,
    is_manifest,
)
from headway.oci.platform import Platform, rank

MAX_MANIFEST_BYTES: Final = 4 * 1024 * 1024
"""Largest manifest that every registry has to accept, in bytes (distribution-spec, "Pushing Manifests")."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One image for one platform.

    Attributes:
        media_type: OCI's or Docker's.
        data: The bytes as received.
        digest: SHA-256 of `data`.
        config: The image's config; its media type tells images from artifacts.
        layers: Bottom layer first.
    """

    media_type: str
    data: bytes
    digest: Digest
    config: Descriptor
    layers: tuple[Descriptor, ...]


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """One image for several platforms.

    Attributes:
        media_type: OCI's or Docker's.
        data: The bytes as received.
        digest: SHA-256 of `data`.
        manifests: In the order written: manifests, and indexes again.
    """

    media_type: str
    data: bytes
    digest: Digest
    manifests: tuple[Descriptor, ...]

    def choose(self, wanted: Platform) -> Descriptor | None:
        """Return the entry that suits a platform best; None if none does (moby-behaviour 3.4).

        The best is the one built for the nearest variant, then the first in the list. An entry without a platform
        may be anything and comes last. Attestations and unknown media types are ignored.
        """
        return best_entry(self.manifests, wanted)


def best_entry(entries: Sequence[Descriptor], wanted: Platform) -> Descriptor | None:
    """Return which of an index's entries suits a platform best; see `Index.choose`."""
    ranks = [_entry_rank(wanted, entry) for entry in entries]
    best = min((number for number in ranks if number is not None), default=None)
    return None if best is None else entries[ranks.index(best)]


def parse_manifest(data: bytes, media_type: str) -> Manifest | Index:
    """Return the manifest or index that `data` holds.

    Args:
        data: The bytes as received.
        media_type: Content type it came with. If that is generic or missing, the body's own ``mediaType``
            decides, and then its shape.

    Raises:
        InvalidDocumentError: Not JSON, too large, ambiguous, contradictory, or incomplete.
        UnsupportedError: Docker's schema 1, another schema version, or another type of document.
    """
    document = decode_object(data, "manifest", MAX_MANIFEST_BYTES)
    kind = _media_type(document, essence(media_type))
    _check_version(document)
    if is_index(kind):
        _refuse(document, "config", "layers", inside="an index")
        return Index(
            media_type=kind,
            data=data,
            digest=Digest.of(data),
            manifests=_descriptors_at(document, "manifests"),
        )
    _refuse(document, "manifests", inside="an image manifest")
    config = document.get("config")
    if config is None:
        raise InvalidDocumentError("the manifest has no config")
    return Manifest(
        media_type=kind,
        data=data,
        digest=Digest.of(data),
        config=Descriptor.from_document(config, "config"),
        layers=_descriptors_at(document, "layers"),
    )


def _media_type(document: Document, outer: str) -> str:
    """Return the kind of document, by its content type, its ``mediaType`` and its shape, in this order."""
    inner = text_at(document, "mediaType")
    kind = inner if is_generic(outer) else outer
    if kind in SCHEMA1_MANIFESTS or _is_version_1(document):
        raise UnsupportedError(
            "it is in Docker's image manifest version 2, schema 1, which is no longer supported: "
            "the image must be pushed again in a current format"
        )
    if inner and inner != kind:
        raise InvalidDocumentError(f"the manifest says that it is {inner!r}, and came as {outer!r}")
    kind = kind or _by_shape(document)
    if not is_manifest(kind) and not is_index(kind):
        raise UnsupportedError(f"documents of type {kind!r} are not images")
    return kind


def _is_version_1(document: Document) -> bool:
    return document.get("schemaVersion") == 1 or "fsLayers" in document


def _by_shape(document: Document) -> str:
    if "manifests" in document:
        return OCI_INDEX
    if "layers" in document or "config" in document:
        return OCI_MANIFEST
    raise InvalidDocumentError("it is neither an image manifest nor an index: it lists no layers and no manifests")


def _check_version(document: Document) -> None:
    version = document.get("schemaVersion")
    if version is not None and version != 2:
        raise UnsupportedError(f"manifests with schemaVersion {version!r} are not supported")


def _refuse(document: Document, *keys: str, inside: str) -> None:
    for key in keys:
        if key in document:
            raise InvalidDocumentError(f"the manifest is ambiguous: it is {inside} and has {key!r}")


def _descriptors_at(document: Document, key: str) -> tuple[Descriptor, ...]:
    """Return the descriptors of a required list; null is an empty list, as Go writes one."""
    if key not in document:
        raise InvalidDocumentError(f"the manifest has no {key}")
    entries: Sequence[object] = list_at(document, key)
    return tuple(Descriptor.from_document(entry, f"{key}[{index}]") for index, entry in enumerate(entries))


def _entry_rank(wanted: Platform, entry: Descriptor) -> float | None:
    if entry.is_attestation or not (is_manifest(entry.media_type) or is_index(entry.media_type)):
        return None
    return float("inf") if entry.platform is None else rank(wanted, entry.platform)
