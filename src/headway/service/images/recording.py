"""What a pull records at its end: the image, its names and the events of both, in one transaction.

Rule: a digest reference does not move (moby-behaviour 5.2). Where the index that a tag stands for was pulled for
another platform before, that image keeps the reference and the tag moves.
"""

from __future__ import annotations

from collections.abc import Iterable

from headway.oci.digest import ChainID, Digest, ImageID
from headway.oci.image_config import ImageConfig
from headway.oci.reference import Reference
from headway.records import ImageRecord
from headway.service.images.tagging import put_tag
from headway.service.stores import Stores


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


def name_pulled(stores: Stores, reference: Reference, root: Digest, record: ImageRecord) -> bool:
    """Let the name that was asked for stand for its image, and tell. Called inside a transaction.

    Args:
        stores: Where both are.
        reference: The name.
        root: The document that it stands for at the registry: an index, or the manifest itself.
        record: The image.

    Returns:
        Whether that is news.

    Raises:
        ConflictError: It was asked for by a digest that stands for another image: another platform's.
        StoreError: The disk failed.
    """
    image_id, before = record.image_id, stores.references.get(reference)
    by_digest = reference.name_only().with_digest(root)
    if reference.digest is not None or stores.references.get(by_digest) is None:
        stores.references.put_digest(by_digest, image_id)
    if reference.digest is None and reference.tag:
        put_tag(stores, reference, image_id)
    stores.events.tell_of_image("pull", reference.familiar, reference.familiar_name, record)
    return before != image_id
