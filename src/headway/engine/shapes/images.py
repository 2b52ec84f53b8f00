"""Images in the Engine API's JSON (moby-behaviour 6.3 and 10).

Rule: a field that an API version does not have is left out, so that each client sees what its own daemon would show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import UNSET, UnsetType

from headway.engine.api_version import ApiVersion
from headway.engine.shapes.config import image_config
from headway.oci.moment import microseconds, rfc3339
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.oci.run_config import complete
from headway.service.images.history import HistoryStep
from headway.service.images.inspection import ImageDetails
from headway.service.images.listing import ListedImage
from headway.service.queries.moments import SECOND

_NO_NONE = ApiVersion(1, 43)
_NO_VIRTUAL_SIZE = ApiVersion(1, 44)
_NO_CONTAINER = ApiVersion(1, 45)
NEVER = "0001-01-01T00:00:00Z"


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


def summary(listed: ListedImage, version: ApiVersion) -> ImageSummary:
    """Return one image as a list shows it to clients of `version`."""
    tags: list[str] | None = _names(listed.tags)
    digests: list[str] | None = _names(listed.digests)
    if version < _NO_NONE:
        is_nameless = not tags and not digests
        tags = tags or (["<none>:<none>"] if is_nameless else None)
        digests = digests or (["<none>@<none>"] if is_nameless else None)
    record = listed.record
    return ImageSummary(
        containers=listed.containers,
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


def inspected(image: ImageDetails, version: ApiVersion) -> dict[str, object]:
    """Return everything known about an image, as ``GET /images/{name}/json`` shows it, in Docker's order."""
    document: dict[str, object] = {
        "Id": str(image.image_id),
        "RepoTags": _names(image.tags),
        "RepoDigests": _names(image.digests),
        "Parent": str(image.parent or ""),
        "Comment": image.comment,
    }
    if image.created or version < _NO_VIRTUAL_SIZE:
        document["Created"] = image.created or NEVER
    if version < _NO_CONTAINER:
        document |= {"Container": image.container, "ContainerConfig": complete(image.container_config)}
    document |= {
        "DockerVersion": image.docker_version,
        "Author": image.author,
        "Config": image_config(image.config, version) if image.config is not None else None,
        **_platform(image.platform),
        "Size": image.size,
    }
    if version < _NO_VIRTUAL_SIZE:
        document["VirtualSize"] = image.size
    rootfs: dict[str, object] = {"Type": "layers"}
    if image.diff_ids:
        rootfs["Layers"] = [str(diff_id) for diff_id in image.diff_ids]
    return document | {
        "GraphDriver": graph_driver(image.driver, image.driver_data),
        "RootFS": rootfs,
        "Metadata": {"LastTagTime": moment_of(int(image.last_tagged * SECOND))},
    }


def _platform(platform: Platform) -> dict[str, object]:
    shape: dict[str, object] = {"Architecture": platform.architecture}
    if platform.variant:
        shape["Variant"] = platform.variant
    shape["Os"] = platform.os
    if platform.os_version:
        shape["OsVersion"] = platform.os_version
    return shape


def graph_driver(name: str, data: Mapping[str, str]) -> dict[str, object]:
    """Return where an image's or a container's files are; ``null`` if the driver does not say."""
    return {"Data": dict(sorted(data.items())) or None, "Name": name}


def history_step(step: HistoryStep) -> dict[str, object]:
    """Return one step of ``GET /images/{name}/history``."""
    return {
        "Comment": step.comment,
        "Created": (microseconds(step.created) or 0) // 1_000_000,
        "CreatedBy": step.created_by,
        "Id": str(step.image_id or "<missing>"),
        "Size": step.size,
        "Tags": list(step.tags) or None,
    }


def moment_of(nanoseconds: int) -> str:
    """Return a time since the epoch as RFC 3339 with nanoseconds, as Go writes it; 0 gives Go's zero time."""
    if not nanoseconds:
        return NEVER
    return rfc3339(nanoseconds)


def removals(done: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Return what a removal did: ``Untagged`` and ``Deleted``, in order."""
    return [{what: name} for what, name in done]
