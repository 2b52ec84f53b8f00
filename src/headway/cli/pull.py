"""`headway pull`."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
from argparse import Namespace

from headway.cli.failures import DONE, INTERRUPTED, exit_status, explain
from headway.cli.progress import View, view_for
from headway.cli.session import say, settings_of
from headway.composition.pulls import pulling
from headway.composition.writing import writing
from headway.distribution.endpoints import InsecureRegistries
from headway.errors import HeadwayError
from headway.oci.platform import Platform, is_satisfied_by
from headway.oci.reference import Reference
from headway.service.progress import PullDone
from headway.service.pull import Puller, PullRequest
from headway.service.stores import Stores
from headway.settings import Settings, parse_duration


def pull(options: Namespace) -> int:
    """Bring images; each that fails is explained, and the others go on."""
    settings = settings_of(
        options,
        max_download_attempts=options.max_download_attempts,
        download_patience=_patience(options),
        registry_mirrors=tuple(options.registry_mirror) if options.registry_mirror else None,
        insecure_registries=tuple(options.insecure_registry) if options.insecure_registry else None,
        auth_file=options.authfile and options.authfile.absolute(),
    )
    requests = [_request(name, options.platform, settings) for name in dict.fromkeys(options.names)]
    view = view_for("none" if options.quiet and options.progress == "auto" else options.progress, sys.stderr)
    with writing(settings, say) as stores:
        try:
            return asyncio.run(_pull_all(settings, stores, requests, view, quiet=options.quiet))
        except (KeyboardInterrupt, asyncio.CancelledError):
            view.close()
            print(f"headway: stopped; {view.kept()}", file=sys.stderr)
            return INTERRUPTED


def _patience(options: Namespace) -> float | None:
    if options.wait:
        return math.inf
    return None if options.download_patience is None else parse_duration(options.download_patience)


def _request(name: str, platform: str | None, settings: Settings) -> PullRequest:
    insecure = InsecureRegistries(settings.insecure_registries)
    host = Platform.of_machine(os.uname().machine)
    reference = Reference.parse(name).with_default_tag()
    return PullRequest(
        reference=reference,
        platform=Platform.parse(platform, host) if platform else host,
        mirrors=settings.mirrors_of(reference.domain),
        insecure=insecure,
    )


async def _pull_all(settings: Settings, stores: Stores, requests: list[PullRequest], view: View, *, quiet: bool) -> int:
    # SIGTERM ends a pull as Ctrl-C does: with everything kept, and said.
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # asyncio.run made it
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with pulling(settings, stores) as puller, asyncio.TaskGroup() as group:
        tasks = [group.create_task(_outcome(puller, request, view)) for request in requests]
    view.close()
    status = DONE
    for request, outcome in zip(requests, (task.result() for task in tasks), strict=True):
        if isinstance(outcome, HeadwayError):
            if settings.debug:
                raise outcome
            print(explain(outcome), file=sys.stderr)
            status = status or exit_status(outcome)
        else:
            _say(request, outcome, view, quiet=quiet)
    return status


async def _outcome(puller: Puller, request: PullRequest, view: View) -> PullDone | HeadwayError:
    try:
        return await puller.pull(request, view.report)
    except HeadwayError as error:
        return error


def _say(request: PullRequest, done: PullDone, view: View, *, quiet: bool) -> None:
    if quiet:
        print(request.reference)
        return
    print(f"{done.reference}  {done.digest}   complete, verified")
    view.receipt(done.receipt)
    if not is_satisfied_by(request.platform, done.platform):
        say(
            f"warning: image with reference {done.reference} was found but does not match the specified "
            f"platform: wanted {request.platform}, actual: {done.platform}"
        )
