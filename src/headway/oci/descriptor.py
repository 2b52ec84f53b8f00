"""Descriptors: media type, digest and size of some content (image-spec, descriptor.md)."""

from __future__ import annotations

import msgspec

from headway.oci.digest import Digest
from headway.oci.platform import Platform


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest or index says of one piece of content.

    Attributes:
        media_type: As written; types that Headway does not know pass through.
        digest: Of the bytes as transferred.
        size: In bytes.
        urls: Where else a non-distributable layer may be had.
        annotations: Free text by key.
        platform: Set on the entries of an index.
        artifact_type: Set on descriptors of artifacts.
    """

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    platform: Platform | None = None
    artifact_type: str = ""
