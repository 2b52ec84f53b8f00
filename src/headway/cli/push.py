"""`headway push`."""

from __future__ import annotations

import asyncio
import signal
import sys
from argparse import Namespace

from headway.cli.failures import DONE, INTERRUPTED, tell
from headway.cli.progress import View, view_for
from headway.cli.remote import holding_daemon
from headway.cli.session import platform_of, reference_of, registry_settings_of, say
from headway.client.daemon import Daemon
from headway.composition.network import credential_source
from headway.composition.pushes import pushing
from headway.composition.writing import writing
from headway.distribution.endpoints import InsecureRegistries
from headway.errors import HeadwayError, InvalidReferenceError
from headway.oci.reference import Reference
from headway.service.pushing.progress import PushDone, PushEvent, PushReport
from headway.service.pushing.push import PushRequest
from headway.service.requests.registries import PushWish
from headway.service.stores import Stores
from headway.settings import Settings


def push(options: Namespace) -> int:
    """Push an image, or all tags of a repository."""
    settings = registry_settings_of(options)
    request = push_request(options, settings)
    daemon = holding_daemon(options, settings)
    how = "none" if options.quiet and options.progress == "auto" else options.progress
    view = view_for(how, sys.stderr)
    done: list[PushDone] = []

    def report(event: PushEvent) -> None:
        if isinstance(event, PushDone):
            done.append(event)
        view.report(event)

    try:
        if daemon:
            _through(daemon, request, report, options, settings)
        else:
            _here(settings, request, report)
    except HeadwayError as error:
        view.close()
        _say(request.reference, done, view, quiet=options.quiet)  # tags before the one that failed
        return tell(error, options)
    except (KeyboardInterrupt, asyncio.CancelledError):
        view.close()
        print("headway: stopped; the same command goes on: layers that are at the registry stay there", file=sys.stderr)
        return INTERRUPTED
    view.close()
    _say(request.reference, done, view, quiet=options.quiet)
    return DONE


def push_request(options: Namespace, settings: Settings) -> PushRequest:
    """Return the request of a command line.

    Raises:
        InvalidReferenceError: The name cannot be pushed.
        InvalidPlatformError: The platform is not valid.
    """
    reference = reference_of(options.name)
    if reference.digest is not None:
        raise InvalidReferenceError("cannot push a digest reference")
    if options.all_tags and reference.tag:
        raise InvalidReferenceError("tag can't be used with --all-tags/-a")
    return PushRequest(
        reference=reference if options.all_tags else reference.with_default_tag(),
        platform=platform_of(options),
        insecure=InsecureRegistries(settings.insecure_registries),
    )


def _here(settings: Settings, request: PushRequest, report: PushReport) -> None:
    with writing(settings, say) as stores:
        asyncio.run(_push(settings, stores, request, report))


async def _push(settings: Settings, stores: Stores, request: PushRequest, report: PushReport) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # asyncio.run gives one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with pushing(settings, stores) as pusher:
        if request.reference.tag:
            await pusher.push(request, report)
        else:
            await pusher.push_all(request, report)


def _through(daemon: Daemon, request: PushRequest, report: PushReport, options: Namespace, settings: Settings) -> None:
    """Let a daemon push, with this user's login."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends a push as Ctrl-C does
    reference = request.reference
    login = credential_source(settings)(reference.repository)
    wish = PushWish(
        reference=str(reference),
        platform=str(request.platform) if request.platform else "",
        insecure=tuple(options.insecure_registry or ()),
    )
    daemon.push(wish, report, login)


def _say(reference: Reference, done: list[PushDone], view: View, *, quiet: bool) -> None:
    for each in done:
        if quiet:
            print(reference.name_only().with_tag(each.tag))
        else:
            print(f"{each.tag}: digest: {each.digest} size: {each.size}")
            view.receipt(each.receipt)
