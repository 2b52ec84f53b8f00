"""Finds the images that a name to push refers to; errors are in Moby's words (moby-behaviour 3.7)."""

from __future__ import annotations

from headway.errors import InvalidReferenceError, NotFoundError
from headway.oci.reference import Reference
from headway.records import ImageRecord
from headway.service.stores import Records


class NoTagError(NotFoundError):
    """There is nothing to push by that name."""

    def __init__(self, message: str) -> None:
        super().__init__("image", "")
        self.args = (message,)


class PushNames:
    """Finds the images to push; every method blocks.

    Args:
        records: Where images and their names are.
    """

    def __init__(self, records: Records) -> None:
        self._references = records.references
        self._images = records.images

    def tags(self, repository: Reference) -> list[Reference]:
        """Return every tag of a repository that is here, sorted.

        Raises:
            NoTagError: None is.
        """
        known = self._references.within(repository)
        tags = [name for name in known if name.tag]
        if tags:
            return tags
        if known:
            raise NoTagError(f"no tags to push for {repository.familiar_name}")
        raise NoTagError(_not_here(repository))

    def image(self, reference: Reference) -> ImageRecord:
        """Return the image that a tag refers to.

        Raises:
            InvalidReferenceError: It is a digest, and no tag.
            NoTagError: There is none.
        """
        if reference.digest is not None:
            raise InvalidReferenceError("cannot push a digest reference")
        image_id = self._references.get(reference)
        record = self._images.get(image_id) if image_id is not None else None
        if record is not None:
            return record
        raise self.missing(reference)

    def missing(self, reference: Reference) -> NoTagError:
        """Return the error for a tag that is not here."""
        if self._references.within(reference):
            return NoTagError(f"tag does not exist: {reference.familiar}")
        return NoTagError(_not_here(reference))


def _not_here(reference: Reference) -> str:
    return f"An image does not exist locally with the tag: {reference.familiar_name}"
