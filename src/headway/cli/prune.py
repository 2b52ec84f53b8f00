"""`headway prune`: says what it would remove, asks, and removes it."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Protocol

import msgspec

from headway.cli.failures import DONE, FINAL, USAGE
from headway.cli.remote import holding_daemon
from headway.cli.session import is_confirmed, say, settings_of
from headway.cli.terminal import one_line
from headway.cli.units import counted, size
from headway.composition.measuring import litter
from headway.composition.writing import imagining, pruning
from headway.service.images.prune import Pruner, PruneReport
from headway.service.queries.filters import parse_filters
from headway.service.requests.requests import PruneRequest


def prune(options: Namespace) -> int:
    """Remove images that nobody uses, and everything that nothing needs."""
    filters = {**({"dangling": ["false"]} if options.all else {}), **parse_filters(options.filter)}
    prune = _pruning(options, filters)
    promised = prune(dry_run=True)
    if options.dry_run or promised == PruneReport():
        _print(promised, *(("Images to Delete", "reclaimable") if options.dry_run else _DONE))
        return DONE
    if not options.force:
        if not sys.stdin.isatty():
            say("prune asks before it removes anything, and there is no terminal to ask on: add --force")
            return USAGE
        _promise(promised)
        if not is_confirmed():
            return DONE
    report = prune(dry_run=False)
    _print(report, *_DONE)
    for problem in report.kept:
        say(problem)
    return FINAL if report.kept else DONE


class _Prune(Protocol):
    def __call__(self, *, dry_run: bool) -> PruneReport:
        """Prune, or say what that would do."""


def _pruning(options: Namespace, filters: dict[str, list[str]]) -> _Prune:
    """Return a function that prunes: through the daemon that holds the store, or in this process."""
    settings = settings_of(options)
    unfinished: bool = options.unfinished
    if (daemon := holding_daemon(options, settings)) is not None:
        return lambda *, dry_run: daemon.prune(PruneRequest(filters=filters, unfinished=unfinished, dry_run=dry_run))

    def prune_here(*, dry_run: bool) -> PruneReport:
        if dry_run:
            with imagining(settings) as stores:
                return freeing(Pruner(stores).prune(filters, unfinished=unfinished), litter(settings))
        with pruning(settings, say) as (stores, freed):
            return freeing(Pruner(stores).prune(filters, unfinished=unfinished), freed)

    def freeing(report: PruneReport, more: int) -> PruneReport:
        return msgspec.structs.replace(report, disk_bytes=report.disk_bytes + more)

    return prune_here


def _promise(promised: PruneReport) -> None:
    """Say what would be removed."""
    for what, item in promised.deleted:
        if what == "Untagged":
            say(f"would remove {item}")
    images = counted(promised.images, "image")
    say(f"this removes {images} and whatever nothing needs, and frees {size(promised.disk_bytes)}")


_DONE = ("Deleted Images", "reclaimed")


def _print(report: PruneReport, heading: str, word: str) -> None:
    """Print what docker prints."""
    if report.deleted:
        lines = [f"{what.lower()}: {one_line(item)}" for what, item in report.deleted]
        print("\n".join([f"{heading}:", *lines]), end="\n\n")
    print(f"Total {word} space: {size(report.disk_bytes)}")
