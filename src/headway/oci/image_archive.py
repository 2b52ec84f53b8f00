"""Makes the documents of an archive of images: docker-archive and OCI layout in one, as Docker 25 and later write it.

Rule 1: the same images give the same bytes: order as given, no time, no name of a machine.
Rule 2: readers of both kinds find what they look for: ``manifest.json`` for docker-archive, ``index.json`` and
        ``oci-layout`` for OCI (image-spec, image-layout.md); both name the same blobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from headway.oci.descriptor import Descriptor
from headway.oci.digest import DiffID, Digest, ImageID
from headway.oci.manifest import Manifest, parse_manifest
from headway.oci.media_types import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from headway.oci.platform import Platform
from headway.oci.reference import Reference

LAYOUT: Final = "oci-layout"
INDEX: Final = "index.json"
ITEMS: Final = "manifest.json"
REPOSITORIES: Final = "repositories"

FULL_NAME: Final = "io.containerd.image.name"
"""Annotation of an index's entry: the name in full spelling, as containerd and Docker write it."""

REF_NAME: Final = "org.opencontainers.image.ref.name"
"""Annotation of an index's entry: a tag, or what a program takes for a name (image-spec, annotations.md)."""


class SavedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image as it goes into an archive.

    Attributes:
        image_id: Digest of its config.
        platform: What it runs on.
        manifest: The registry's own where its blobs are here, else the one that `made_manifest` makes.
        diff_ids: Its layers, bottom first.
        layers: The blobs that hold them in the archive, in the same order.
        names: Its tags that go along.
        parent: The image it was made from, where that is in the same archive.
    """

    image_id: ImageID
    platform: Platform
    manifest: Manifest
    diff_ids: tuple[DiffID, ...]
    layers: tuple[Descriptor, ...]
    names: tuple[Reference, ...] = ()
    parent: ImageID | None = None


def blob_name(digest: Digest) -> str:
    """Return the name of a blob's file."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def tar_descriptor(diff_id: DiffID, size: int) -> Descriptor:
    """Return the descriptor of a layer whose blob is its tar, `size` bytes long."""
    return Descriptor(media_type=OCI_LAYER, digest=diff_id, size=size)


def made_manifest(image_id: ImageID, config_size: int, layers: Iterable[Descriptor]) -> Manifest:
    """Return the manifest of an image whose layers are not compressed; it follows from config and tars alone."""
    config = Descriptor(media_type=OCI_CONFIG, digest=image_id, size=config_size)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.to_document(),
        "layers": [layer.to_document() for layer in layers],
    }
    manifest = parse_manifest(msgspec.json.encode(document), OCI_MANIFEST)
    assert isinstance(manifest, Manifest)  # noqa: S101  # it has layers
    return manifest


def documents(images: Sequence[SavedImage]) -> dict[str, bytes]:
    """Return the files of an archive that are no blobs, in the order in which they are written."""
    found = {
        LAYOUT: msgspec.json.encode({"imageLayoutVersion": "1.0.0"}),
        INDEX: msgspec.json.encode(
            {
                "schemaVersion": 2,
                "mediaType": OCI_INDEX,
                "manifests": [entry for image in images for entry in _index_entries(image)],
            }
        ),
        ITEMS: msgspec.json.encode([_item(image) for image in images] or None),
    }
    if tops := _tops(images):
        found[REPOSITORIES] = msgspec.json.encode(tops)
    return found


def _index_entries(image: SavedImage) -> list[dict[str, object]]:
    """Return the entries of one image: one for each of its names, or a single one without."""
    manifest = image.manifest
    descriptor = Descriptor(media_type=manifest.media_type, digest=manifest.digest, size=len(manifest.data))
    entry = descriptor.to_document()
    entry["platform"] = _platform(image.platform)
    if not image.names:
        return [entry]
    return [{**entry, "annotations": {FULL_NAME: str(name), REF_NAME: name.tag}} for name in image.names]


def _item(image: SavedImage) -> dict[str, object]:
    item: dict[str, object] = {"Config": blob_name(image.image_id)}
    if image.parent is not None:
        item["Parent"] = str(image.parent)
    item["RepoTags"] = [name.familiar for name in image.names] or None
    item["Layers"] = [blob_name(layer.digest) for layer in image.layers]
    item["LayerSources"] = {
        str(diff_id): layer.to_document() for diff_id, layer in zip(image.diff_ids, image.layers, strict=True)
    }
    return item


def _tops(images: Iterable[SavedImage]) -> dict[str, dict[str, str]]:
    """Return the top layer of each name, as Docker before 1.10 looked images up."""
    tops: dict[str, dict[str, str]] = {}
    for image in images:
        for name in image.names if image.layers else ():
            tops.setdefault(name.familiar_name, {})[name.tag] = image.layers[-1].digest.hex
    return tops


def _platform(platform: Platform) -> Mapping[str, object]:
    shape = {
        "architecture": platform.architecture,
        "os": platform.os,
        "os.version": platform.os_version,
        "os.features": list(platform.os_features),
        "variant": platform.variant,
    }
    return {key: value for key, value in shape.items() if value}
