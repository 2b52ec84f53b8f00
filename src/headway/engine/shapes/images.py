"""Images in the Engine API's JSON (moby-behaviour 6.3 and 10).

Rule: what a version does not have is left out, so that each client sees what its own daemon would have shown.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, UnsetType

from headway.engine.api_version import ApiVersion
from headway.oci.moment import microseconds
from headway.oci.reference import Reference
from headway.service.listing import NOT_ASKED, ListedImage

_NO_NONE = ApiVersion(1, 43)
_NO_VIRTUAL_SIZE = ApiVersion(1, 44)
_COUNTS_CONTAINERS = ApiVersion(1, 51)


class ImageSummary(msgspec.Struct, frozen=True, rename="pascal"):
    """One image of ``GET /images/json``."""

    containers: int
    created: int
    id: str
    labels: Mapping[str, str] | None
    parent_id: str
    repo_digests: list[str] | None
    repo_tags: list[str] | None
    shared_size: int
    size: int
    virtual_size: int | UnsetType = UNSET


def summary(listed: ListedImage, version: ApiVersion, *, extras: bool = False) -> ImageSummary:
    """Return one image as a list shows it to clients of `version`.

    Args:
        listed: The image.
        version: Of the API.
        extras: Whether containers are counted whatever the version, as in ``/system/df``.
    """
    tags: list[str] | None = _names(listed.tags)
    digests: list[str] | None = _names(listed.digests)
    if version < _NO_NONE:
        is_nameless = not tags and not digests
        tags = tags or (["<none>:<none>"] if is_nameless else None)
        digests = digests or (["<none>@<none>"] if is_nameless else None)
    record = listed.record
    return ImageSummary(
        containers=listed.containers if extras or version >= _COUNTS_CONTAINERS else NOT_ASKED,
        created=(microseconds(record.created) or 0) // 1_000_000,
        id=str(record.image_id),
        labels=dict(listed.labels) or (None if version < _NO_NONE else {}),
        parent_id=str(record.parent or ""),
        repo_digests=digests,
        repo_tags=tags,
        shared_size=listed.shared_size,
        size=record.size,
        virtual_size=record.size if version < _NO_VIRTUAL_SIZE else UNSET,
    )


def _names(references: tuple[Reference, ...]) -> list[str]:
    return [reference.familiar for reference in references]
