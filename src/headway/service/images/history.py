"""The steps that made an image (moby-behaviour 6.6)."""

from __future__ import annotations

import msgspec

from headway.oci.digest import ImageID
from headway.service.images.lookup import Lookup
from headway.service.stores import Records


class HistoryStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an image's history.

    Attributes:
        image_id: ID of the image that ends with this step, if that image was made here; None otherwise.
        created: RFC 3339; empty if unknown.
        created_by: The command.
        comment: Free text.
        size: Size of the step's layer as Docker counts it; 0 for an empty one.
        tags: Familiar names of that image.
    """

    image_id: ImageID | None = None
    created: str
    created_by: str
    comment: str
    size: int
    tags: tuple[str, ...] = ()


def history_of(records: Records, word: str) -> list[HistoryStep]:
    """Return an image's steps, newest first.

    The newest step is the image itself; below it are its recorded parents, if there are any.

    Args:
        records: Where it is.
        word: Its name or its ID.

    Raises:
        InvalidReferenceError: It is neither.
        StoreCorruptError: Its config is damaged.
        NotFoundError: There is none, or its layers are gone.
    """
    lookup = Lookup(records)
    record = lookup.find(word)
    sizes = iter([tree.report.size for tree in records.layers.trees(record.chain_id)])
    steps = [
        HistoryStep(
            created=step.created,
            created_by=step.created_by,
            comment=step.comment,
            size=0 if step.empty_layer else next(sizes),  # a config has no more steps with a layer than layers
        )
        for step in lookup.config(record).history
    ]
    named = [
        msgspec.structs.replace(step, image_id=ancestor.image_id, tags=_tags(records, ancestor.image_id))
        for step, ancestor in zip(reversed(steps), lookup.line(record), strict=False)
    ]
    return named + steps[::-1][len(named) :]


def _tags(records: Records, image_id: ImageID) -> tuple[str, ...]:
    return tuple(name.familiar for name in records.references.of(image_id) if name.digest is None)
