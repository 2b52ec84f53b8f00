"""`headway df`: shows the disk usage, and what a prune would free."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping

from headway.cli.failures import DONE
from headway.cli.remote import holding_daemon, named_daemon
from headway.cli.session import settings_of
from headway.cli.table import SCHEMA, json_text, render
from headway.cli.units import ago, size
from headway.composition.measuring import measuring
from headway.errors import NoDaemonError
from headway.interfaces.usage import ImageUsage, Kind, Share, Usage
from headway.oci.digest import ImageID
from headway.service.images.listing import ListedImage, Listing

_NONE = "<none>"
_KIND = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
    "Bytes": "BYTES",
    "ReclaimableBytes": "RECLAIMABLE BYTES",
}
_SHOWN = ("Type", "TotalCount", "Active", "Size", "Reclaimable")
_UNCOUNTED = (Kind.DATABASE, Kind.OTHER)
_IMAGE = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "Size": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Containers": "CONTAINERS",
}
_LAYER = {"ID": "LAYER ID", "Size": "SIZE", "DiskSize": "ON DISK", "Images": "IMAGES"}
_CONTAINER = {"ID": "CONTAINER ID", "DiskSize": "SIZE"}
_DOWNLOAD = {"ID": "DOWNLOAD", "DiskSize": "SIZE"}


def df(options: Namespace) -> int:
    """Show the disk usage; the sum is the one that du shows for the data root."""
    usage, listed = _measured(options)
    if options.format == "json":
        print(json_text(_document(usage, listed), indent=1))
        return DONE
    print(render(list(_rows(usage)), _KIND, options.format, shown=_SHOWN), end="")
    if options.verbose and options.format == "table":
        for title, headings, rows in _details(usage, listed):
            print(f"\n{title}:\n")
            print(render(rows, headings, "table"), end="")
    return DONE


def _measured(options: Namespace) -> tuple[Usage, list[ListedImage]]:
    settings = settings_of(options)
    if (daemon := holding_daemon(options, settings)) is not None:  # only it knows what its pulls need
        try:
            measured = daemon.measure()
        except NoDaemonError:
            if named_daemon(options) is not None:
                raise  # one that only holds the store may be about to start or to end
        else:
            return measured.usage, measured.images
    with measuring(settings) as (records, disk):
        is_detailed = options.verbose or options.format == "json"
        return disk.measure(), Listing(records).images(intermediate=True) if is_detailed else []


def _rows(usage: Usage) -> Iterator[dict[str, object]]:
    for kind, share in usage.kinds.items():
        yield _row(kind, share, is_counted=kind not in _UNCOUNTED)
    total = Share(disk_bytes=usage.total, reclaimable=sum(share.reclaimable for share in usage.kinds.values()))
    yield _row("Total", total, is_counted=False)


def _row(name: str, share: Share, *, is_counted: bool) -> dict[str, object]:
    percent = f" ({100 * share.reclaimable // share.disk_bytes}%)" if share.reclaimable else ""
    return {
        "Type": str(name),
        "TotalCount": share.count if is_counted else "",
        "Active": share.active if is_counted else "",
        "Size": size(share.disk_bytes),
        "Reclaimable": f"{size(share.reclaimable)}{percent}",
        "Bytes": share.disk_bytes,
        "ReclaimableBytes": share.reclaimable,
    }


def _document(usage: Usage, listed: Iterable[ListedImage]) -> dict[str, object]:
    names = {image.record.image_id: image for image in listed}
    return {
        "schema": SCHEMA,
        "total": usage.total,
        "reclaimable": {"dangling": usage.dangling, "all": usage.everything, "unfinished": usage.unfinished},
        "items": list(_rows(usage)),
        "images": [
            {
                "id": str(image.image_id),
                "names": [name.familiar for name in (*names[image.image_id].tags, *names[image.image_id].digests)],
                "size": names[image.image_id].record.size,
                "shared": image.shared,
                "unique": image.unique,
                "containers": image.containers,
            }
            for image in usage.images
            if image.image_id in names
        ],
        "layers": usage.layers,
        "containers": usage.containers,
        "downloads": usage.downloads,
    }


def _details(
    usage: Usage, listed: Iterable[ListedImage]
) -> Iterator[tuple[str, dict[str, str], list[dict[str, object]]]]:
    names = {image.record.image_id: image for image in listed}
    yield "Images", _IMAGE, [row for image in usage.images for row in _image_rows(image, names)]
    layers: list[dict[str, object]] = [
        {
            "ID": layer.diff_id.short,
            "Size": size(layer.size),
            "DiskSize": size(layer.disk_bytes),
            "Images": layer.images,
        }
        for layer in usage.layers
    ]
    yield "Layers", _LAYER, layers
    containers: list[dict[str, object]] = [
        {"ID": container.name[:12], "DiskSize": size(container.disk_bytes)} for container in usage.containers
    ]
    yield "Containers", _CONTAINER, containers
    downloads: list[dict[str, object]] = [
        {"ID": download.digest.short, "DiskSize": size(download.disk_bytes)} for download in usage.downloads
    ]
    yield "Unfinished downloads", _DOWNLOAD, downloads


def _image_rows(usage: ImageUsage, names: Mapping[ImageID, ListedImage]) -> Iterator[dict[str, object]]:
    image = names.get(usage.image_id)
    if image is None:
        return
    shared = {
        "ID": usage.image_id.short,
        "CreatedSince": ago(image.record.created),
        "Size": size(image.record.size),
        "SharedSize": size(usage.shared),
        "UniqueSize": size(usage.unique),
        "Containers": usage.containers,
    }
    shown = image.tags or image.digests[:1]
    for name in shown:
        yield {"Repository": name.familiar_name, "Tag": name.tag or _NONE, **shared}
    if not shown:
        yield {"Repository": _NONE, "Tag": _NONE, **shared}
