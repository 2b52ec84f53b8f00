"""Makes manifests for a push: of images whose layers are packed anew, and of images that were made here.

Rule 1: if layers are packed anew, everything else stays as the image came.
Rule 2: an image that was made here is pushed with Docker's kind of manifest. If layers that it is based on are packed
        in a way that Docker's kind cannot name, the manifest is OCI's.
Rule 3: the same image with the same layers gives the same manifest, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from headway.oci.descriptor import Descriptor
from headway.oci.manifest import Manifest, parse_manifest
from headway.oci.media_types import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)

_DOCKERS = {OCI_LAYER_GZIP: DOCKER_LAYER_GZIP}
_OCIS = {
    DOCKER_LAYER_GZIP: OCI_LAYER_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar": OCI_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": OCI_LAYER_ZSTD,
}
"""Media types of layers, each with its equivalent in the other kind of manifest."""


def layer_type(own: Manifest | None) -> str:
    """Return the media type that an image's manifest gives a layer packed with gzip.

    Args:
        own: The manifest that the image came with; None if it was made here: then it is pushed as Docker pushes it.
    """
    return OCI_LAYER_GZIP if own is not None and own.media_type == OCI_MANIFEST else DOCKER_LAYER_GZIP


def pushed_manifest(own: Manifest | None, config: Descriptor, layers: Sequence[Descriptor]) -> Manifest:
    """Return the manifest to push.

    Args:
        own: The manifest that the image came with; returned unchanged if the layers are its own.
        config: The image's config; its media type counts if there is a manifest already.
        layers: Bottom first.
    """
    if own is None:
        document = _made_here(config, layers)
    elif [layer.digest for layer in own.layers] == [layer.digest for layer in layers]:
        return own
    else:
        shapes = [_shape(layer) for layer in layers]
        document = {**msgspec.json.decode(own.data), "layers": shapes}
    manifest = parse_manifest(msgspec.json.encode(document), own.media_type if own is not None else "")
    assert isinstance(manifest, Manifest)  # noqa: S101  # it has layers
    return manifest


def _made_here(config: Descriptor, layers: Sequence[Descriptor]) -> dict[str, object]:
    is_dockers = all(_is_dockers(layer.media_type) for layer in layers)
    names = _DOCKERS if is_dockers else _OCIS
    kind, config_type = (DOCKER_MANIFEST, DOCKER_CONFIG) if is_dockers else (OCI_MANIFEST, OCI_CONFIG)
    named = (
        msgspec.structs.replace(
            layer,
            media_type=names.get(layer.media_type, layer.media_type),
            annotations={} if is_dockers else layer.annotations,
        )
        for layer in layers
    )
    return {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": _shape(msgspec.structs.replace(config, media_type=config_type)),
        "layers": [_shape(layer) for layer in named],
    }


def _is_dockers(layer_type: str) -> bool:
    """Tell whether Docker's kind of manifest can name a layer: every Docker reads layers packed with gzip."""
    return layer_type == OCI_LAYER_GZIP or (
        layer_type.startswith("application/vnd.docker.") and layer_type.endswith("gzip")
    )


def _shape(descriptor: Descriptor) -> dict[str, object]:
    """Return a descriptor as Docker writes it: the size before the digest."""
    return {"mediaType": descriptor.media_type, "size": descriptor.size, **descriptor.to_document()}
