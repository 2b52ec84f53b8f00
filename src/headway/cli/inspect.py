"""`headway inspect`: shows everything known about images, with Docker's names for the fields."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

from headway.cli.failures import each_of
from headway.cli.remote import named_daemon
from headway.cli.session import settings_of
from headway.cli.table import fields, json_text
from headway.composition.reading import reading
from headway.service.images.inspection import ImageDetails, details_of

_NEVER = "0001-01-01T00:00:00Z"


def inspect(options: Namespace) -> int:
    """Show everything known about images, as JSON; for images that are not here, explain that and show the others."""
    found: list[dict[str, object]] = []
    with _looking(options) as look:
        status = each_of(options.names, lambda name: found.append(_shown(look(name))), options)
    if options.format == "json":
        print(json_text(found, indent=4))
    else:
        print(fields(found, options.format), end="")
    return status


@contextmanager
def _looking(options: Namespace) -> Iterator[Callable[[str], ImageDetails]]:
    """Return a function that inspects the image of a name."""
    if (daemon := named_daemon(options)) is not None:
        yield daemon.inspect
        return
    settings = settings_of(options)
    with reading(settings) as records:
        yield partial(details_of, records, driver=settings.storage_driver or "overlay2")


def _shown(image: ImageDetails) -> dict[str, object]:
    """Return an image's fields as Docker shows them (moby-behaviour 6.4)."""
    platform = image.platform
    return {
        "Id": str(image.image_id),
        "RepoTags": [name.familiar for name in image.tags],
        "RepoDigests": [name.familiar for name in image.digests],
        "Parent": str(image.parent or ""),
        "Comment": image.comment,
        "Created": image.created,
        "DockerVersion": image.docker_version,
        "Author": image.author,
        "Config": None if image.config is None else dict(image.config),
        "Architecture": platform.architecture,
        **({"Variant": platform.variant} if platform.variant else {}),
        "Os": platform.os,
        **({"OsVersion": platform.os_version} if platform.os_version else {}),
        "Size": image.size,
        "GraphDriver": {"Name": image.driver, "Data": dict(image.driver_data)},
        "RootFS": {"Type": "layers", **({"Layers": [str(each) for each in image.diff_ids]} if image.diff_ids else {})},
        "Metadata": {"LastTagTime": _moment(image.last_tagged)},
    }


def _moment(seconds: float) -> str:
    if not seconds:
        return _NEVER
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
