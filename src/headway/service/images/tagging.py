"""Gives images names (moby-behaviour 5.2, 6.8)."""

from __future__ import annotations

import time
from collections.abc import Callable

from headway.errors import InvalidReferenceError
from headway.oci.digest import ImageID
from headway.oci.reference import Reference
from headway.service.images.lookup import Lookup
from headway.service.queries.moments import SECOND
from headway.service.stores import Stores


def tag_image(
    stores: Stores, source: str, repository: str, tag: str = "", *, clock: Callable[[], int] = time.time_ns
) -> Reference:
    """Give a name to the image that `source` means; a name that exists moves silently.

    Args:
        stores: Where both are.
        source: A name or an ID.
        repository: The new name, with or without a tag; a digest in it is dropped where there is a tag too.
        tag: The tag; empty to take the one in `repository`, or ``latest``.
        clock: Nanoseconds since the epoch.

    Returns:
        The name as it was recorded.

    Raises:
        InvalidReferenceError: It cannot be a tag.
        NotFoundError: No such source.
    """
    reference = tag_name(repository, tag)
    name_image(stores, Lookup(stores).find(source).image_id, reference, clock=clock)
    return reference.with_default_tag()


def name_image(
    stores: Stores, image_id: ImageID, reference: Reference, *, clock: Callable[[], int] = time.time_ns
) -> None:
    """Give a name to an image, record when, and report the event; and one for the image that loses the name, too.

    Args:
        stores: Where both are.
        image_id: The image.
        reference: Its new name. Without a tag it becomes ``latest``, but the event has it as given.
        clock: Nanoseconds since the epoch.

    Raises:
        InvalidReferenceError: It cannot be a tag.
        NotFoundError: No such image.
    """
    with stores.transaction():
        put_tag(stores, reference, image_id)
        stores.images.set_last_tagged(image_id, clock() / SECOND)
        stores.events.tell_of_image("tag", image_id, reference.familiar, stores.images.get(image_id))


def put_tag(stores: Stores, name: Reference, image_id: ImageID) -> ImageID | None:
    """Move a tag to an image, report the event of the image that had it, and return that. Needs a transaction."""
    before = stores.references.put_tag(name, image_id)
    if before is not None:
        stores.events.tell_of_untag(before, stores.images.get(before))
    return before


def tag_name(repository: str, tag: str = "") -> Reference:
    """Return the name that a repository and a tag make; it has no tag if neither has one.

    Args:
        repository: With or without a tag; a digest in it is dropped where there is a tag too.
        tag: Wins over the one in `repository`; empty to take that.

    Raises:
        InvalidReferenceError: It cannot be a tag.
    """
    reference = Reference.parse(repository)
    if tag:
        reference = reference.with_tag(tag)
    if reference.digest is not None and reference.tag:
        reference = reference.name_only().with_tag(reference.tag)
    if reference.digest is not None:
        raise InvalidReferenceError("refusing to create a tag with a digest reference")
    if reference.familiar_name == "sha256":
        raise InvalidReferenceError("refusing to create an ambiguous tag using digest algorithm as name")
    return reference
