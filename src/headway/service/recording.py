"""What a pull records: the image, its names and what there is to tell, in one transaction.

Rule: a digest reference does not move (moby-behaviour 5.2). Where the index that a tag stands for was pulled for
another platform before, that image keeps the reference and the tag moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from headway.oci.digest import ChainID, Digest, ImageID
from headway.oci.image_config import ImageConfig
from headway.oci.reference import Reference
from headway.records import ImageRecord
from headway.service.stores import Stores
from headway.service.tagging import put_tag


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """What has been brought and verified.

    Attributes:
        reference: What was asked for.
        root: The document that it stands for at the registry: an index, or the manifest itself.
        manifest: The manifest of the image's platform.
        config: The image's config; its blob is committed.
        chain_id: Its layers, committed; None where it has none.
        documents: Every document on the way, and the blobs of layers that are kept: they stay as long as the image.
    """

    reference: Reference
    root: Digest
    manifest: Digest
    config: ImageConfig
    chain_id: ChainID | None
    documents: Sequence[Digest]


def record_pull(stores: Stores, pulled: Pulled) -> bool:
    """Record an image and let its name stand for it; tell whether that is news. Called inside a transaction.

    Raises:
        ConflictError: It was asked for by a digest that stands for another image: another platform's.
        StoreError: The disk failed.
    """
    reference, config = pulled.reference, pulled.config
    record = record_image(stores, config, pulled.chain_id, pulled.manifest, pulled.documents)
    before = stores.references.get(reference)
    _put_names(stores, pulled)
    stores.events.tell_of_pull(reference, record)
    return before != config.image_id


def record_image(
    stores: Stores,
    config: ImageConfig,
    chain_id: ChainID | None,
    manifest: Digest | None = None,
    blobs: Iterable[Digest] = (),
    *,
    parent: ImageID | None = None,
) -> ImageRecord:
    """Record an image that is here, without a name; of one that is known, what only this machine knows stays.

    Args:
        stores: Where it is.
        config: Its config; its blob is committed.
        chain_id: Its layers, committed; None where it has none.
        manifest: The manifest of its platform, a blob; None where it came without.
        blobs: What else stays as long as the image.
        parent: The image it was made from; None where that is not news.

    Raises:
        StoreError: The disk failed.
    """
    known = stores.images.get(config.image_id)
    record = ImageRecord(
        image_id=config.image_id,
        created=config.created,
        size=sum(tree.report.size for tree in stores.layers.trees(chain_id)),
        platform=str(config.platform),
        chain_id=chain_id,
        manifest=manifest or (known.manifest if known else None),
        last_tagged=known.last_tagged if known else 0.0,
        labels=config.labels,
        parent=parent or (known.parent if known else None),
    )
    stores.images.put(record)
    stores.images.add_blobs(config.image_id, blobs)
    return record


def _put_names(stores: Stores, pulled: Pulled) -> None:
    reference, image_id = pulled.reference, pulled.config.image_id
    by_digest = reference.name_only().with_digest(pulled.root)
    if reference.digest is not None or stores.references.get(by_digest) is None:
        stores.references.put_digest(by_digest, image_id)
    if reference.digest is None and reference.tag:
        put_tag(stores, reference, image_id)
