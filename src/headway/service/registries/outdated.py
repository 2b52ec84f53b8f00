"""Finds the tags that refer to another image at their registry by now.

Rule 1: one HEAD for each tag; nothing is downloaded, and nothing is recorded.
Rule 2: the tags of one registry are asked for one after another on one connection, as a second connection would cost
        more than all the answers. Once it cannot be reached, or has refused more requests, it is not asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from headway.errors import HeadwayError, NotFoundError, ThrottledError, UnreachableError, root_cause
from headway.oci.digest import Digest, ImageID
from headway.oci.manifest import Index
from headway.oci.reference import Reference
from headway.service.images.documents import document_of
from headway.service.registries.repository import Repository
from headway.service.stores import Records


class Freshness(StrEnum):
    """How a tag here compares with the same tag at its registry."""

    CURRENT = "current"
    OUTDATED = "outdated"
    GONE = "gone"
    UNKNOWN = "unknown"


class TagFreshness(msgspec.Struct, frozen=True, kw_only=True):
    """One tag.

    Attributes:
        reference: The tag.
        image_id: The image that it refers to here.
        here: The digest that was pulled; None if the tag was not pulled, but given here.
        there: The digest that it refers to at the registry; None if that is not known.
        freshness: How the two compare.
        error: Why `there` is not known; None otherwise.
    """

    reference: Reference
    image_id: ImageID
    here: Digest | None
    there: Digest | None = None
    freshness: Freshness
    error: HeadwayError | None = None


class Outdated:
    """Compares tags with their registries.

    Args:
        records: What is here.
        repository: Returns the repository that a reference names, ready for requests.
    """

    def __init__(self, records: Records, repository: Callable[[Reference], Repository]) -> None:
        self._records = records
        self._repository = repository

    async def check(self, references: Sequence[Reference] = ()) -> list[TagFreshness]:
        """Return how tags compare, in order; all tags here if none is named.

        Raises:
            NotFoundError: One of those named is not here.
            StoreError: The disk failed.
        """
        named = [(reference, self._here(reference)) for reference in references]
        wanted = named or [each for each in self._records.references.list() if each[0].tag]
        found: dict[Reference, TagFreshness] = {}

        async def ask_one_registry(tags: list[tuple[Reference, ImageID]]) -> None:
            away: HeadwayError | None = None
            for reference, image_id in tags:
                found[reference] = each = await self._check(reference, image_id, away)
                if each.error is not None and isinstance(root_cause(each.error), UnreachableError | ThrottledError):
                    away = each.error

        async with asyncio.TaskGroup() as group:
            for domain in {reference.domain for reference, _ in wanted}:
                group.create_task(ask_one_registry([each for each in wanted if each[0].domain == domain]))
        return [found[reference] for reference, _ in wanted]

    def _here(self, reference: Reference) -> ImageID:
        image_id = self._records.references.get(reference)
        if image_id is None:
            raise NotFoundError("image", reference.familiar)
        return image_id

    async def _check(self, reference: Reference, image_id: ImageID, away: HeadwayError | None) -> TagFreshness:
        known = {
            name.digest
            for name in self._records.references.of(image_id)
            if name.digest is not None and name.name_only() == reference.name_only()
        }
        here = min(known, default=None)
        try:
            if away is not None:
                raise away
            there = (await self._repository(reference).resolve(reference)).digest
        except HeadwayError as error:
            freshness = Freshness.GONE if isinstance(error, NotFoundError) else Freshness.UNKNOWN
            return TagFreshness(reference=reference, image_id=image_id, here=here, freshness=freshness, error=error)
        is_current = there in known or self._leads_to(there, image_id)
        return TagFreshness(
            reference=reference,
            image_id=image_id,
            here=there if is_current else here,
            there=there,
            freshness=Freshness.CURRENT if is_current else Freshness.OUTDATED,
        )

    def _leads_to(self, document: Digest, image_id: ImageID) -> bool:
        """Tell whether a manifest or an index here belongs to an image.

        Another platform's image may have taken the reference to an index that both came with.
        """
        record = self._records.images.get(image_id)
        if record is None or record.manifest is None:
            return False
        if record.manifest == document:
            return True
        found = document_of(self._records.blobs, document)
        return isinstance(found, Index) and any(entry.digest == record.manifest for entry in found.manifests)
