"""`headway push`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from argparse import Namespace

from headway.cli.failures import DONE, INTERRUPTED, exit_status, explain
from headway.cli.push_progress import PushView, push_view_for
from headway.cli.session import say, settings_of
from headway.composition.pushes import pushing
from headway.composition.writing import writing
from headway.distribution.endpoints import InsecureRegistries
from headway.errors import HeadwayError, InvalidReferenceError
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.service.push import ImagePusher, PushRequest
from headway.service.push_progress import PushDone
from headway.service.stores import Stores
from headway.settings import Settings


def push(options: Namespace) -> int:
    """Bring an image to its registry, or all tags of a repository."""
    settings = settings_of(
        options,
        insecure_registries=tuple(options.insecure_registry) if options.insecure_registry else None,
        auth_file=options.authfile and options.authfile.absolute(),
    )
    request = push_request(options, settings)
    how = "none" if options.quiet and options.progress == "auto" else options.progress
    view = push_view_for(how, sys.stderr)
    with writing(settings, say) as stores:
        try:
            return asyncio.run(_push_all(settings, stores, request, view, options))
        except (KeyboardInterrupt, asyncio.CancelledError):
            view.close()
            print(
                "headway: stopped; layers that are whole at the registry are not sent again by the same command",
                file=sys.stderr,
            )
            return INTERRUPTED


def push_request(options: Namespace, settings: Settings) -> PushRequest:
    """Return what a command line asks for.

    Raises:
        InvalidReferenceError: Its name cannot be pushed.
        InvalidPlatformError: Its platform is none.
    """
    reference = Reference.parse(options.name)
    if reference.digest is not None:
        raise InvalidReferenceError("cannot push a digest reference")
    if options.all_tags and reference.tag:
        raise InvalidReferenceError("tag can't be used with --all-tags/-a")
    host = Platform.of_machine(os.uname().machine)
    return PushRequest(
        reference=reference if options.all_tags else reference.with_default_tag(),
        platform=Platform.parse(options.platform, host) if options.platform else None,
        insecure=InsecureRegistries(settings.insecure_registries),
    )


async def _push_all(
    settings: Settings, stores: Stores, request: PushRequest, view: PushView, options: Namespace
) -> int:
    """Push, and say how it went; of several tags, the first that fails ends it."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # asyncio.run gives one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with pushing(settings, stores) as pusher:
        try:
            done = await _pushed(pusher, request, view, all_tags=options.all_tags)
        except HeadwayError as error:
            view.close()
            if settings.debug:
                raise
            print(explain(error), file=sys.stderr)
            return exit_status(error)
    view.close()
    for each in done:
        if options.quiet:
            print(str(request.reference.name_only().with_tag(each.tag)))
        else:
            print(f"{each.tag}: digest: {each.digest} size: {each.size}")
            view.receipt(each.receipt)
    return DONE


async def _pushed(pusher: ImagePusher, request: PushRequest, view: PushView, *, all_tags: bool) -> list[PushDone]:
    if not all_tags:
        return [await pusher.push(request, view.report)]
    return await pusher.push_all(request, view.report)
