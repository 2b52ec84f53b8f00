"""Media types of images: which ones Headway asks for, and what the others mean.

Rule: an unknown type is not an error here; it is passed on, and code that needs to understand it raises the error.
"""

from __future__ import annotations

from typing import Final

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"

DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_SCHEMA1: Final = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"

MANIFESTS: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES: Final = frozenset({OCI_INDEX, DOCKER_MANIFEST_LIST})
SCHEMA1_MANIFESTS: Final = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})

ACCEPTED_MANIFESTS: Final = ", ".join((OCI_INDEX, DOCKER_MANIFEST_LIST, OCI_MANIFEST, DOCKER_MANIFEST))
"""``Accept`` header of a manifest request; schema 1 is left out, since a registry might convert to it."""

# What servers and proxies say when they know nothing of the content.
_GENERIC: Final = frozenset({
    "", "application/json", "application/octet-stream", "binary/octet-stream", "text/plain",
})  # fmt: skip

# Configs that Docker takes for an image's: pushers of old left these behind (moby-behaviour 3.2).
_CONFIGS: Final = frozenset({
    OCI_CONFIG, DOCKER_CONFIG, "application/octet-stream", "application/json", "text/html", "",
})  # fmt: skip

_FOREIGN_LAYERS: Final = (
    "application/vnd.docker.image.rootfs.foreign.",
    "application/vnd.oci.image.layer.nondistributable.",
)


def essence(content_type: str) -> str:
    """Return a ``Content-Type`` without its parameters, in lower case (RFC 9110, section 8.3.1)."""
    return content_type.partition(";")[0].strip().lower()


def is_index(media_type: str) -> bool:
    """Tell whether it is a list of manifests: an OCI index or a Docker manifest list."""
    return media_type in INDEXES


def is_manifest(media_type: str) -> bool:
    """Tell whether it is the manifest of one image: OCI's or Docker's schema 2."""
    return media_type in MANIFESTS


def is_generic(media_type: str) -> bool:
    """Tell whether it says nothing about the content."""
    return media_type in _GENERIC


def is_image_config(media_type: str) -> bool:
    """Tell whether Docker takes a config of this type for an image's, and not for another artifact's."""
    return media_type in _CONFIGS


def is_foreign_layer(media_type: str) -> bool:
    """Tell whether it is a non-distributable layer: fetched from its own URLs, and not pushed by default."""
    return media_type.startswith(_FOREIGN_LAYERS)


def is_compressed_layer(media_type: str) -> bool:
    """Tell whether a layer is compressed, by its media type; unpacking looks at the bytes instead."""
    return not media_type.endswith(".tar")


def has_wide_window(media_type: str) -> bool:
    """Tell whether expanding a layer takes megabytes of memory, by its media type: zstd's window has up to 8 MiB."""
    return media_type.endswith("zstd")
