"""`headway images`, `inspect` and `history`: questions."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator

from headway.cli.failures import DONE, exit_status, explain
from headway.cli.session import settings_of
from headway.cli.table import json_text, render
from headway.cli.units import ago, size
from headway.composition.reading import reading
from headway.errors import HeadwayError
from headway.oci.reference import Reference
from headway.service.images import HistoryEntry, Images, ListedImage

_NONE = "<none>"
_IMAGE = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedAt": "CREATED AT",
    "CreatedSince": "CREATED",
    "Size": "SIZE",
    "Bytes": "BYTES",
    "Platform": "PLATFORM",
}
_STEP = {
    "ID": "IMAGE",
    "CreatedAt": "CREATED AT",
    "CreatedSince": "CREATED",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Bytes": "BYTES",
    "Comment": "COMMENT",
}


def images(options: Namespace) -> int:
    """List images, newest first."""
    wanted = None if options.name is None else Reference.parse(options.name)
    with reading(settings_of(options)) as records:
        listed = [image for image in Images(records).all() if wanted is None or _is_wanted(image, wanted)]
    rows = [row for image in listed for row in _rows(image, options)]
    if options.quiet:
        ids = dict.fromkeys(str(row["ID"]) for row in rows)
        print("\n".join(ids), end="\n" if ids else "")
        return DONE
    digest = ["Digest"] if options.digests else []
    shown = ["Repository", "Tag", *digest, "ID", "CreatedSince", "Size"]
    print(render(rows, _IMAGE, options.format, shown=shown), end="")
    return DONE


def _is_wanted(image: ListedImage, wanted: Reference) -> bool:
    names = [*image.tags, *image.digests]
    if wanted.tag or wanted.digest:
        return wanted in names
    return any(reference.repository == wanted.repository for reference in names)


def _rows(image: ListedImage, options: Namespace) -> Iterator[dict[str, object]]:
    """Yield a row per tag; digests without a tag in their repository stand alone, as in docker's list."""
    record = image.record
    shared = {
        "ID": str(record.image_id) if options.no_trunc else record.image_id.short,
        "CreatedAt": record.created,
        "CreatedSince": ago(record.created),
        "Size": size(record.size),
        "Bytes": record.size,
        "Platform": record.platform,
    }
    digests = {reference.repository: str(reference.digest) for reference in image.digests}
    for tag in image.tags:
        yield {
            "Repository": tag.familiar_name,
            "Tag": tag.tag,
            "Digest": digests.pop(tag.repository, _NONE),
            **shared,
        }
    for reference in image.digests:
        if reference.repository in digests:
            yield {
                "Repository": reference.familiar_name,
                "Tag": _NONE,
                "Digest": str(reference.digest),
                **shared,
            }
    if not image.tags and not image.digests and (options.all or options.name is None):
        yield {"Repository": _NONE, "Tag": _NONE, "Digest": _NONE, **shared}


def inspect(options: Namespace) -> int:
    """Show everything known of images, as JSON; what is not there is explained, and the rest is shown."""
    found: list[dict[str, object]] = []
    status = DONE
    with reading(settings_of(options)) as records:
        for name in options.names:
            try:
                found.append(Images(records).describe(name))
            except HeadwayError as error:
                print(explain(error), file=sys.stderr)
                status = status or exit_status(error)
    print(json_text(found, indent=4))
    return status


def history(options: Namespace) -> int:
    """Show the steps of an image, newest first."""
    with reading(settings_of(options)) as records:
        entries = Images(records).history(options.name)
    rows = [_history_row(entry, full=options.no_trunc) for entry in entries]
    if options.quiet:
        print("\n".join(str(row["ID"]) for row in rows))
        return DONE
    shown = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"]
    print(render(rows, _STEP, options.format, shown=shown), end="")
    return DONE


def _history_row(entry: HistoryEntry, *, full: bool) -> dict[str, object]:
    short = entry.image_id.partition(":")[2][:12]
    command = " ".join(entry.created_by.split())
    return {
        "ID": (entry.image_id if full else short) or "<missing>",
        "CreatedAt": entry.created,
        "CreatedSince": ago(entry.created),
        "CreatedBy": command if full or len(command) <= 45 else command[:44] + "…",
        "Size": size(entry.size),
        "Bytes": entry.size,
        "Comment": entry.comment,
    }
