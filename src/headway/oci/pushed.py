"""Manifests of images whose layers are packed anew: everything else stays as the image came.

Rule: the same image with the same layers gives the same manifest, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from headway.oci.descriptor import Descriptor
from headway.oci.manifest import Manifest, parse_manifest
from headway.oci.media_types import DOCKER_CONFIG, DOCKER_LAYER_GZIP, DOCKER_MANIFEST, OCI_LAYER_GZIP, OCI_MANIFEST


def layer_type(own: Manifest | None) -> str:
    """Return the media type of a layer that is packed with gzip, as an image's manifest would call it.

    Args:
        own: The manifest that the image came with; None where it was made here: it is pushed as Docker pushes it.
    """
    return OCI_LAYER_GZIP if own is not None and own.media_type == OCI_MANIFEST else DOCKER_LAYER_GZIP


def pushed_manifest(own: Manifest | None, config: Descriptor, layers: Sequence[Descriptor]) -> Manifest:
    """Return the manifest to push.

    Args:
        own: The manifest that the image came with; returned as it is where the layers are its own.
        config: The image's config; its media type counts where there is a manifest already.
        layers: Bottom first.
    """
    shapes = [_shape(layer) for layer in layers]
    if own is None:
        config = msgspec.structs.replace(config, media_type=DOCKER_CONFIG)
        document = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": _shape(config), "layers": shapes}
        kind = DOCKER_MANIFEST
    elif [layer.digest for layer in own.layers] == [layer.digest for layer in layers]:
        return own
    else:
        document, kind = {**msgspec.json.decode(own.data), "layers": shapes}, own.media_type
    manifest = parse_manifest(msgspec.json.encode(document), kind)
    assert isinstance(manifest, Manifest)  # noqa: S101  # it has layers
    return manifest


def _shape(descriptor: Descriptor) -> dict[str, object]:
    shape: dict[str, object] = {
        "mediaType": descriptor.media_type,
        "size": descriptor.size,
        "digest": str(descriptor.digest),
    }
    if descriptor.urls:
        shape["urls"] = list(descriptor.urls)
    if descriptor.annotations:
        shape["annotations"] = descriptor.annotations
    return shape
