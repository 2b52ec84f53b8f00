"""Configs, manifests and indexes in the blob store, for callers that can do without one.

Rule: one that is gone, damaged or something else is none. Others find what is wrong with it, and say so.
"""

from __future__ import annotations

from headway.errors import HeadwayError
from headway.interfaces.content import BlobStore
from headway.oci.digest import Digest
from headway.oci.image_config import ImageConfig
from headway.oci.manifest import MAX_MANIFEST_BYTES, Index, Manifest, parse_manifest


def document_of(blobs: BlobStore, digest: Digest) -> Manifest | Index | None:
    """Return the manifest or index of a digest, which may be that of any blob."""
    try:
        if (blobs.size(digest) or 0) > MAX_MANIFEST_BYTES:
            return None
        return parse_manifest(blobs.read(digest), "")
    except HeadwayError:
        return None


def config_of(blobs: BlobStore, digest: Digest) -> ImageConfig | None:
    """Return the config of a digest."""
    try:
        return ImageConfig.parse(blobs.read(digest))
    except HeadwayError:
        return None
