"""Rebuilds records from content alone, where the database and its log are both lost.

Rule 1: a layer's tar is made from its tree and its recipe, and unpacked once more, which verifies it.
Rule 2: a config whose layers have all come back is an image. Names are stored in no content, and are lost.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing

import msgspec

from headway.errors import HeadwayError, StoreFullError
from headway.interfaces.files import Applier, Pieces
from headway.oci.digest import DiffID, Digest
from headway.oci.image_config import MAX_CONFIG_BYTES, ImageConfig
from headway.oci.manifest import Index, Manifest
from headway.records import TarParts
from headway.service.images.documents import config_of, document_of
from headway.service.images.recording import record_image
from headway.service.stores import Stores


class Salvaged(msgspec.Struct, frozen=True):
    """What was recorded again.

    Attributes:
        layers: How many layers.
        images: How many images.
    """

    layers: int
    images: int


def salvage(
    stores: Stores,
    layers: Iterable[TarParts],
    tar_of: Callable[[TarParts], Generator[bytes, None, None]],
    applier: Applier,
) -> Salvaged:
    """Record every layer and every image that is whole on disk; to be called before any garbage is collected.

    Args:
        stores: Where they are recorded; its records are still empty.
        layers: Trees that have a recipe.
        tar_of: Makes the tar of a layer, and verifies it.
        applier: Unpacks the tar again.

    Raises:
        StoreFullError: No space left; everything recorded so far is whole.
    """
    brought = 0
    for parts in layers:
        with closing(Pieces(tar_of(parts))) as source:
            brought += _layer(stores, source, applier)
    configs, manifests = _documents(stores)
    return Salvaged(brought, sum(_image(stores, config, manifests) for config in configs))


def _layer(stores: Stores, source: Pieces, applier: Applier) -> bool:
    try:
        with stores.layers.new_tree() as path:
            diff_id, report = applier(source, path, lambda _: None)
            stores.layers.commit_tree(diff_id, path, report)
    except StoreFullError:
        raise
    except HeadwayError:  # it is damaged, and the next pull that needs it fetches it
        return False
    return True


def _documents(stores: Stores) -> tuple[list[ImageConfig], dict[Digest, list[Digest]]]:
    """Return the configs in the blob store, and for each the manifests and indexes that lead to it, manifests first."""
    configs: list[ImageConfig] = []
    manifests: dict[Digest, list[Digest]] = {}
    indexes: list[Index] = []
    for digest in sorted(stores.blobs.walk()):
        if (stores.blobs.size(digest) or 0) > MAX_CONFIG_BYTES:
            continue  # too long for a document, so it is a layer
        document = document_of(stores.blobs, digest)
        if isinstance(document, Manifest):
            manifests.setdefault(document.config.digest, []).append(digest)
        elif document is not None:
            indexes.append(document)
        elif (config := config_of(stores.blobs, digest)) is not None and config.diff_ids:
            configs.append(config)
    for found in manifests.values():
        found += [index.digest for index in indexes if {each.digest for each in index.manifests} & set(found)]
    return configs, manifests


def _image(stores: Stores, config: ImageConfig, manifests: dict[Digest, list[Digest]]) -> bool:
    if not all(stores.layers.has_tree(DiffID(diff_id)) for diff_id in config.diff_ids):
        return False
    try:
        chain_id = stores.layers.commit_chain(config.diff_ids)
    except HeadwayError:
        return False
    documents = manifests.get(config.image_id, [])
    with stores.transaction():
        record_image(stores, config, chain_id, documents[0] if documents else None, documents)
    return True
