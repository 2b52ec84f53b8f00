"""`headway check`: is everything that is recorded here, and what it was? `--repair` mends what is not."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import TextIO

from headway.cli.failures import DONE, FINAL, USAGE, exit_status, explain
from headway.cli.progress import view_for
from headway.cli.remote import named_daemon
from headway.cli.session import is_confirmed, registry_settings_of, say
from headway.cli.table import SCHEMA, json_text
from headway.cli.terminal import can_draw, drawing, one_line
from headway.cli.units import counted, size
from headway.client import questions
from headway.composition.checking import checking
from headway.composition.pulls import pulling
from headway.composition.requests import pull_request
from headway.composition.writing import mending, salvage_store
from headway.errors import InvalidSettingError, StoreCorruptError
from headway.service.health.damage import Checked, Damage, Kind, Remedy
from headway.service.health.repair import Repaired, Repairer, damaged_chains, damaged_layers
from headway.settings import Settings


def check(options: Namespace) -> int:
    """Compare what is recorded with what is here; the status is 1 where something is damaged."""
    settings = registry_settings_of(options)
    if options.repair and named_daemon(options) is not None:
        where = "stop it and repair where the store is, without -H and HEADWAY_HOST"
        raise InvalidSettingError(f"check --repair changes what a daemon has open: {where}")
    found = _checked(settings, options)
    if not found.damage or not options.repair:
        _show(found, options)
        return FINAL if found.damage else DONE
    return _repair(settings, found, options)


def _checked(settings: Settings, options: Namespace) -> Checked:
    shown = can_draw(sys.stderr) and options.format == "table"
    tell = _progress(drawing(sys.stderr)) if shown else lambda _done, _of: None
    daemon = named_daemon(options)
    try:
        if daemon is not None:
            return questions.check(daemon, full=options.full)
        with checking(settings) as checker:
            return checker.check(full=options.full, tell=tell)
    except StoreCorruptError as error:
        damage = Damage(kind=Kind.RECORDS, name="database", faults=(str(error),), remedy=Remedy.REBUILD)
        return Checked(is_full=options.full, damage=(damage,))


def _repair(settings: Settings, found: Checked, options: Namespace) -> int:
    """Say what will be fetched, ask, fetch it, and check again."""
    _say(found)
    if not found.mendable:
        say("none of that can be repaired here; each of them says what helps")
        return FINAL
    if not options.force:
        if not sys.stdin.isatty():
            say("check --repair asks before it changes anything, and there is no terminal to ask on: add --force")
            return USAGE
        if not is_confirmed():
            return FINAL
    if any(damage.kind is Kind.RECORDS for damage in found.damage):
        salvage_store(settings, say)
        found = _checked(settings, options)
    done = _mend(settings, found) if found.mendable else Repaired()
    for name, error in done.failed:
        print(explain(error).replace("headway: ", f"headway: {one_line(name)}: ", 1), file=sys.stderr)
    left = _checked(settings, options)
    _show(left, options, done)
    if done.failed:
        return exit_status(done.failed[0][1])
    return FINAL if left.damage else DONE


def _mend(settings: Settings, found: Checked) -> Repaired:
    layers, chains = damaged_layers(found), damaged_chains(found)
    with mending(settings, say, damaged=layers, derived=chains) as (stores, store):
        repairer = Repairer(stores, store, partial(pull_request, settings))
        repairer.prepare(found)

        async def bring() -> Repaired:
            view = view_for("auto", sys.stderr)
            try:
                async with pulling(settings, stores) as puller:
                    return await repairer.repair(found, puller, view.report)
            finally:
                view.close()

        return asyncio.run(bring())


# What it says


def _show(found: Checked, options: Namespace, done: Repaired | None = None) -> None:
    if options.format == "json":
        print(json_text(_document(found, done), indent=1))
        return
    if done is not None and (done.images or done.derived):
        derived = f"; {done.derived} rebuilt from what is here" if done.derived else ""
        print(f"repaired {counted(done.images, 'image')}, {size(done.received)} received{derived}")
    if found.damage:
        _say(found)
    else:
        print(f"{_what(found)}: everything is as it was stored")


def _say(found: Checked) -> None:
    """Say what is damaged, which images it affects, and what a repair takes."""
    for damage in found.damage:
        say(f"{_named(damage)} is damaged")
        for fault in damage.faults:
            print(f"         {one_line(fault)}", file=sys.stderr)
        for image in damage.images:
            names = ", ".join(image.names) or "no name"
            print(f"affects: {one_line(names)} ({image.image_id.short})", file=sys.stderr)
        print(f"repair:  {_remedy(damage)}", file=sys.stderr)
    more = "" if found.is_exact else ", and more that cannot be known before"
    amount = f"{size(found.fetch)} ({found.fetch:,} bytes){more}"
    say(f"{len(found.damage)} damaged; headway check --repair downloads {amount}")


def _named(damage: Damage) -> str:
    if damage.kind is Kind.RECORDS:
        return "the database"
    return f"{damage.kind} {damage.name if damage.kind is Kind.CONTAINER else damage.name[:19]}"


def _remedy(damage: Damage) -> str:
    match damage.remedy:
        case Remedy.FETCH:
            return "downloads it again" if damage.fetch is None else f"downloads {damage.fetch:,} bytes"
        case Remedy.REBUILD:
            return "rebuilds it from what is here"
        case Remedy.FORGET if damage.kind is Kind.BLOB:
            return "removes it: its layer is here without it"
        case Remedy.FORGET:
            return "removes it: no image has it"
        case Remedy.NONE if damage.kind is Kind.CONTAINER:
            return "not possible, what was written there is lost: remove it, and make it again"
        case Remedy.NONE if damage.kind is Kind.IMAGE:  # there is none of that name for rmi
            return "not possible, its origin is unknown: load, import or pull it again (prune --unfinished removes it)"
        case Remedy.NONE:
            return (
                "not possible, its origin is unknown: headway rmi what it affects, and load, import or pull that again"
            )


def _what(found: Checked) -> str:
    how = "every byte" if found.is_full else "names and sizes"
    without = "without a recipe: only their total size; save or push may not be able to write them"
    unread = f"; {found.unread} {without}" if found.unread else ""
    return f"images: {found.images}, layers: {found.layers} ({how}{unread}), blobs: {found.blobs}"


def _document(found: Checked, done: Repaired | None) -> dict[str, object]:
    document: dict[str, object] = {
        "schema": SCHEMA,
        "healthy": not found.damage,
        "full": found.is_full,
        "images": found.images,
        "layers": found.layers,
        "layers_without_recipe": found.unread,
        "blobs": found.blobs,
        "damaged": [
            {
                "kind": str(damage.kind),
                "name": damage.name,
                "faults": damage.faults,
                "images": [{"id": str(image.image_id), "names": image.names} for image in damage.images],
                "remedy": str(damage.remedy),
                "fetch_bytes": damage.fetch,
            }
            for damage in found.damage
        ],
        "fetch_bytes": found.fetch,
        "fetch_bytes_exact": found.is_exact,
    }
    if done is not None:
        document["repaired"] = {"images": done.images, "received_bytes": done.received, "derived": done.derived}
    return document


def _progress(terminal: TextIO) -> Callable[[int, int], None]:
    """Return what shows how far a check is, in one line of a terminal."""

    def show(done: int, of: int) -> None:
        print(f"\rchecked {done} of {of}", end="\n" if done == of else "", file=terminal, flush=True)

    return show
