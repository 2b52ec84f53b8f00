"""`headway images` and `headway history`: list images, and the steps of one."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

import msgspec

from headway.cli.failures import DONE
from headway.cli.remote import named_daemon
from headway.cli.session import settings_of
from headway.cli.table import render
from headway.cli.units import ago, size
from headway.composition.reading import reading
from headway.oci.reference import Reference
from headway.service.images.history import HistoryStep, history_of
from headway.service.images.listing import ListedImage, Listing
from headway.service.queries.filters import Filters, parse_filters

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
    filters = parse_filters(options.filter or ())
    wanted = None
    if options.name is not None:
        wanted = _name(options.name)
        filters.setdefault("reference", []).append(wanted.familiar_name if wanted else options.name)
    listed = _listed(options, filters)
    if wanted is not None and wanted != wanted.name_only():
        listed = [_only(image, wanted) for image in listed if wanted in (*image.tags, *image.digests)]
    if not listed and not (options.filter or options.name or options.host or options.data_root):
        from headway.cli.elsewhere import say_where_images_are  # noqa: PLC0415  # only who finds nothing pays for it

        say_where_images_are()
    rows = [row for image in listed for row in _rows(image, options)]
    if options.quiet:
        ids = dict.fromkeys(str(row["ID"]) for row in rows)
        print("\n".join(ids), end="\n" if ids else "")
        return DONE
    digest = ["Digest"] if options.digests else []
    shown = ["Repository", "Tag", *digest, "ID", "CreatedSince", "Size"]
    print(render(rows, _IMAGE, options.format, shown=shown), end="")
    return DONE


def _listed(options: Namespace, filters: Filters) -> list[ListedImage]:
    if (daemon := named_daemon(options)) is not None:
        return daemon.images(filters, intermediate=options.all)
    with reading(settings_of(options)) as records:
        return Listing(records).images(filters, intermediate=options.all)


def _name(text: str) -> Reference | None:
    """Return the name that a text is, in full or familiar form; None if it is a pattern for several."""
    return None if any(character in text for character in "*?[\\") else Reference.parse(text)


def _only(image: ListedImage, wanted: Reference) -> ListedImage:
    """Return an image with only one of its names; a tag keeps the digests of its repository, to be shown with it."""
    tags = tuple(tag for tag in image.tags if tag == wanted)
    digests = tuple(name for name in image.digests if name == wanted or tags)
    return msgspec.structs.replace(image, tags=tags, digests=digests)


def _rows(image: ListedImage, options: Namespace) -> Iterator[dict[str, object]]:
    """Yield a row per tag, and per repository with only digests; if digests are shown, one for each, as in Docker."""
    record = image.record
    shared = {
        "ID": str(record.image_id) if options.no_trunc else record.image_id.short,
        "CreatedAt": record.created,
        "CreatedSince": ago(record.created),
        "Size": size(record.size),
        "Bytes": record.size,
        "Platform": record.platform,
    }
    digests: dict[str, list[str]] = {}
    for reference in image.digests:
        digests.setdefault(reference.repository, []).append(str(reference.digest))
    named = {tag.repository for tag in image.tags}
    bare = {name.repository: name.familiar_name for name in image.digests if name.repository not in named}
    names = [(tag.repository, tag.familiar_name, tag.tag) for tag in image.tags]
    names += [(repository, name, _NONE) for repository, name in bare.items()]
    is_each = options.digests or "{{.Digest}}" in options.format
    for repository, name, tag in names:
        known = digests.get(repository, [_NONE])
        for digest in known if is_each else known[:1]:
            yield {"Repository": name, "Tag": tag, "Digest": digest, **shared}
    if not image.tags and not image.digests:
        yield {"Repository": _NONE, "Tag": _NONE, "Digest": _NONE, **shared}


def history(options: Namespace) -> int:
    """Show the steps of an image, newest first."""
    if (daemon := named_daemon(options)) is not None:
        steps = daemon.history(options.name)
    else:
        with reading(settings_of(options)) as records:
            steps = history_of(records, options.name)
    rows = [_step_row(step, full=options.no_trunc) for step in steps]
    if options.quiet:
        print("\n".join(str(row["ID"]) for row in rows))
        return DONE
    shown = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"]
    print(render(rows, _STEP, options.format, shown=shown), end="")
    return DONE


def _step_row(step: HistoryStep, *, full: bool) -> dict[str, object]:
    image_id = step.image_id
    command = " ".join(step.created_by.split())
    return {
        "ID": "<missing>" if image_id is None else str(image_id) if full else image_id.short,
        "CreatedAt": step.created,
        "CreatedSince": ago(step.created),
        "CreatedBy": command if full or len(command) <= 45 else command[:44] + "…",
        "Size": size(step.size),
        "Bytes": step.size,
        "Comment": step.comment,
    }
