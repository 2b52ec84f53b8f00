"""`headway outdated`: which tags stand for another image at their registry by now."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headway.cli.failures import DONE, FINAL, TRY_AGAIN, tell
from headway.cli.remote import named_daemon
from headway.cli.session import reference_of, registry_settings_of
from headway.cli.table import render
from headway.composition.asking import asking
from headway.composition.network import credential_source
from headway.composition.reading import reading
from headway.oci.digest import Digest
from headway.oci.reference import Reference
from headway.service.registries.outdated import Freshness, Outdated, TagFreshness
from headway.service.requests.registries import OutdatedRequest
from headway.settings import Settings

if TYPE_CHECKING:
    from headway.client.daemon import Daemon

_HEADINGS = {"Reference": "IMAGE", "State": "STATE", "Here": "HERE", "There": "AT THE REGISTRY"}


def outdated(options: Namespace) -> int:
    """Tell for each tag whether it stands for something else at its registry by now.

    The exit status is 0 where none does, 1 where one does or is gone, 75 where some could not be asked.
    """
    settings = registry_settings_of(options)
    found = check(settings, options)
    if options.quiet:
        print("".join(f"{each.reference.familiar}\n" for each in found if each.freshness is Freshness.OUTDATED), end="")
    else:
        is_short = options.format == "table" and not options.no_trunc
        print(render([_row(each, is_short=is_short) for each in found], _HEADINGS, options.format), end="")
    errors = {str(each.error): each.error for each in found if each.freshness is Freshness.UNKNOWN}
    for error in errors.values():  # what is wrong with a registry is told once, and not for each tag
        if error is not None:
            tell(error, options)
    return _status(found)


def check(settings: Settings, options: Namespace, *, is_every: bool = False) -> list[TagFreshness]:
    """Return how tags stand to their registries, in the store that is named; all tags where none is.

    Args:
        settings: In force.
        options: The command line.
        is_every: Whether names on the command line are meant for something else.
    """
    references = [] if is_every else [reference_of(name).with_default_tag() for name in options.names]
    if (daemon := named_daemon(options)) is not None:
        return _asked(daemon, settings, references, options)
    with reading(settings) as records, asking(settings, records.hosts) as repository:
        return asyncio.run(Outdated(records, repository).check(references))


def _asked(
    daemon: Daemon, settings: Settings, references: Sequence[Reference], options: Namespace
) -> list[TagFreshness]:
    """Let a daemon ask the registries, with this user's logins."""
    from headway.client import questions  # noqa: PLC0415  # not needed without a daemon

    logins = credential_source(settings)
    tags = references or [tag for image in daemon.images({}) for tag in image.tags]
    known = {name: logins(name) for name in dict.fromkeys(tag.repository for tag in tags)}
    request = OutdatedRequest(
        names=tuple(map(str, references)),
        logins={name: login for name, login in known.items() if login is not None},
        insecure=tuple(options.insecure_registry or ()),
    )
    return questions.outdated(daemon, request)


def _status(found: Sequence[TagFreshness]) -> int:
    if any(each.freshness in (Freshness.OUTDATED, Freshness.GONE) for each in found):
        return FINAL
    return TRY_AGAIN if any(each.freshness is Freshness.UNKNOWN for each in found) else DONE


def _row(each: TagFreshness, *, is_short: bool) -> dict[str, object]:
    return {
        "Reference": each.reference.familiar,
        "State": str(each.freshness),
        "Here": _digest(each.here, is_short=is_short),
        "There": _digest(each.there, is_short=is_short),
    }


def _digest(digest: Digest | None, *, is_short: bool) -> str:
    if digest is None:
        return "-"
    return digest.hex[:12] if is_short else str(digest)
