"""`headway pull`: what is to be pulled, and who pulls it (`own_pull` or `remote_pull`)."""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from headway.cli.failures import DONE, TRY_AGAIN
from headway.cli.progress import view_for
from headway.cli.remote import holding_daemon
from headway.cli.session import reference_of, registry_settings_of, say
from headway.composition.requests import pull_request
from headway.errors import InvalidReferenceError, InvalidSettingError, NoDaemonError
from headway.interfaces.traffic import Account, charged_to
from headway.quantities import parse_duration, parse_priority, parse_size
from headway.service.registries.remote_image import PullRequest
from headway.settings import Settings

if TYPE_CHECKING:
    from headway.cli.own_pull import OwnPull
    from headway.cli.remote_pull import RemotePull
    from headway.client.daemon import Daemon

T = TypeVar("T")


def pull(options: Namespace) -> int:
    """Bring images; each that fails is explained, and the others go on."""
    settings = registry_settings_of(
        options,
        max_download_attempts=options.max_download_attempts,
        download_patience=_patience(options),
        max_download_rate=_parsed(parse_size, options, "limit_rate"),
        unfinished_max_age=_parsed(parse_duration, options, "unfinished_max_age"),
        unfinished_max_size=_parsed(parse_size, options, "unfinished_max_size"),
    )
    parse_priority(options.priority)  # only a daemon orders pulls, but a wrong word is wrong without one, too
    _parsed(parse_size, options, "max_bytes")
    if bool(options.names) == options.all_outdated:
        raise InvalidSettingError("name images, or --all-outdated, and not both")
    if options.detach and options.format == "json" and not options.dry_run:
        raise InvalidSettingError("--format json tells how pulls end: --detach does not wait for that, and prints IDs")
    daemon = holding_daemon(options, settings)
    if daemon is not None:
        _refuse_daemons_own(options)
    elif options.detach:
        raise NoDaemonError(str(settings.data_root), "--detach leaves a pull to the daemon")
    finding = Account({}, 0, {})
    requests, unasked = _requests(options, settings, finding)
    return _puller(daemon, settings, options, finding).run(requests) or unasked


def _puller(daemon: Daemon | None, settings: Settings, options: Namespace, finding: Account) -> OwnPull | RemotePull:
    """Return what pulls: a daemon where one holds the store, else this process; neither loads what the other needs."""
    view = view_for("none" if options.quiet and options.progress == "auto" else options.progress, sys.stderr)
    if daemon is not None:
        from headway.cli.remote_pull import RemotePull  # noqa: PLC0415

        return RemotePull(daemon, settings, options, view, finding)
    from headway.cli.own_pull import OwnPull  # noqa: PLC0415

    return OwnPull(settings, options, view, finding)


def _refuse_daemons_own(options: Namespace) -> None:
    """Refuse flags that concern all of a daemon's pulls, and not only those of the command, or more than it can know.

    Raises:
        InvalidSettingError: One is set.
    """
    if options.all_tags and options.max_bytes is not None:
        raise InvalidSettingError("--max-bytes through a daemon is for tags that are named: leave out --all-tags")
    for name in ("unfinished_max_age", "unfinished_max_size"):
        if getattr(options, name):
            flag = name.replace("_", "-")
            raise InvalidSettingError(
                f"--{flag} is about every unfinished download: set it in the daemon's daemon.json"
            )


def _requests(options: Namespace, settings: Settings, finding: Account) -> tuple[list[PullRequest], int]:
    """Return what is to be pulled, and the status to leave with where that comes in; `finding` is charged."""
    names, unasked = options.names, DONE
    if options.all_outdated:
        with charged_to(finding):
            names, unasked = _outdated(settings, options)
    return [_request(name, options, settings) for name in dict.fromkeys(names)], unasked


def _patience(options: Namespace) -> float | None:
    if options.wait:
        return math.inf
    return _parsed(parse_duration, options, "download_patience")


def _parsed(parse: Callable[[str], T], options: Namespace, field: str) -> T | None:
    text = getattr(options, field)
    try:
        return None if text is None else parse(text)
    except InvalidSettingError as error:
        raise InvalidSettingError(f"--{field.replace('_', '-')}: {error}") from None


def _outdated(settings: Settings, options: Namespace) -> tuple[list[str], int]:
    """Return the tags that stand for another image at their registry by now; say which could not be asked about.

    Beside them, the status of that: 75 where there are such.
    """
    from headway.cli.outdated import check  # noqa: PLC0415  # a pull of names needs none of it
    from headway.service.registries.outdated import Freshness  # noqa: PLC0415  # as above

    found = check(settings, options, is_every=True)
    for each in found:
        if each.freshness in (Freshness.UNKNOWN, Freshness.GONE) and each.error is not None:
            say(f"{each.reference.familiar} is left out: {each.error}")
    is_whole = all(each.freshness is not Freshness.UNKNOWN for each in found)
    names = [each.reference.familiar for each in found if each.freshness is Freshness.OUTDATED]
    return names, DONE if is_whole else TRY_AGAIN


def _request(name: str, options: Namespace, settings: Settings) -> PullRequest:
    reference = reference_of(name)
    if not options.all_tags:
        reference = reference.with_default_tag()
    elif reference != reference.name_only():
        raise InvalidReferenceError("tag can't be used with --all-tags/-a")
    return pull_request(settings, reference, options.platform)
