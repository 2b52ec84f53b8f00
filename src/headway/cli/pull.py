"""`headway pull`."""

from __future__ import annotations

import asyncio
import math
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec

from headway.cli.failures import DONE, INTERRUPTED, TRY_AGAIN, tell
from headway.cli.plan import say_plans
from headway.cli.progress import View, view_for
from headway.cli.pulled import Outcome, say_all
from headway.cli.remote import holding_daemon
from headway.cli.session import reference_of, registry_settings_of, say
from headway.composition.requests import pull_request
from headway.distribution.credentials import Credentials
from headway.errors import HeadwayError, InvalidReferenceError, InvalidSettingError, NoDaemonError, StoreReadOnlyError
from headway.interfaces.pulls import Wish
from headway.interfaces.traffic import Account, charged_to
from headway.oci.reference import Reference
from headway.quantities import parse_duration, parse_priority, parse_size
from headway.service.budget import Budget
from headway.service.own_limits import OwnLimits, keeping_to
from headway.service.plan_requests import plan_each
from headway.service.remote_image import PullRequest
from headway.settings import Settings

if TYPE_CHECKING:
    from headway.client.daemon import Daemon
    from headway.service.pull import Puller
    from headway.service.pulls import Pulls
    from headway.service.stores import Stores

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
        return _through(daemon, settings, options)
    if options.detach:
        raise NoDaemonError(str(settings.data_root), "a pull that goes on by itself needs one that brings it")
    finding = Account({}, 0, {})
    requests, unasked = _requests(options, settings, finding)
    view = _view(options)

    with _opened(settings, options) as (stores, is_kept):
        try:
            pulling_all = _pull_all(settings, stores, requests, view, options, finding, is_kept=is_kept)
            return asyncio.run(pulling_all) or unasked
        except (KeyboardInterrupt, asyncio.CancelledError):
            view.close()
            print(f"headway: stopped; {view.kept()}", file=sys.stderr)
            return INTERRUPTED


@contextmanager
def _opened(settings: Settings, options: Namespace) -> Iterator[tuple[Stores, bool]]:
    """Open the data root for changes, and tell whether they stay: a dry run changes nothing that it cannot do without.

    Raises:
        StoreError: It cannot be opened.
    """
    from headway.composition.writing import aside, writing  # noqa: PLC0415  # a daemon's client would hold it for nothing

    with ExitStack() as opened:
        try:
            stores, is_kept = opened.enter_context(writing(settings, say)), True
        except StoreReadOnlyError:
            if not options.dry_run:
                raise
            stores, is_kept = opened.enter_context(aside(settings)), False
        yield stores, is_kept


def _through(daemon: Daemon, settings: Settings, options: Namespace) -> int:
    from headway.cli.remote_pull import RemotePull, refuse_daemons_own  # noqa: PLC0415  # a pull by ourselves needs none

    refuse_daemons_own(options)
    finding = Account({}, 0, {})
    requests, unasked = _requests(options, settings, finding)
    return RemotePull(daemon, settings, options, _view(options), finding).run(requests) or unasked


def _requests(options: Namespace, settings: Settings, finding: Account) -> tuple[list[PullRequest], int]:
    """Return what is to be pulled, and the status to leave with where that comes in; `finding` is charged."""
    names, unasked = options.names, DONE
    if options.all_outdated:
        with charged_to(finding):
            names, unasked = _outdated(settings, options)
    return [_request(name, options, settings) for name in dict.fromkeys(names)], unasked


def _view(options: Namespace) -> View:
    return view_for("none" if options.quiet and options.progress == "auto" else options.progress, sys.stderr)


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
    from headway.service.outdated import Freshness  # noqa: PLC0415  # as above

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


async def _pull_all(
    settings: Settings,
    stores: Stores,
    requests: list[PullRequest],
    view: View,
    options: Namespace,
    finding: Account,
    *,
    is_kept: bool,
) -> int:
    from headway.composition.durable import command_pulls  # noqa: PLC0415  # as above
    from headway.composition.pulls import pulling  # noqa: PLC0415  # as above
    from headway.daemon.memory import give_back  # noqa: PLC0415  # as above

    give_back()
    # SIGTERM ends a pull as Ctrl-C does: with everything kept, and said.
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # asyncio.run made it
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    limit = _parsed(parse_size, options, "max_bytes")
    async with pulling(settings, stores) as puller:
        is_by_tag = options.all_tags
        if is_by_tag and (options.dry_run or limit is not None):  # which need to know of all of them before
            try:
                with charged_to(finding):
                    requests, is_by_tag = await _every_tag(puller, requests, view), False
            except HeadwayError as error:
                return tell(error, options) if options.dry_run else say_all([(requests[0], error)], view, options)
        if options.dry_run:
            return await _plan(puller, requests, view, options, finding, is_kept=is_kept)
        async with command_pulls(puller, stores.pulls, partial(_spelled_out, settings)) as pulls:
            command = _Command(puller, pulls, view)
            if limit is not None and requests:
                began = puller.meter.received_bytes - finding.received_bytes
                outcomes = await command.within(Budget(puller.meter, limit, began=began), requests)
            else:
                outcomes = await (command.each_tag if is_by_tag else command.together)(requests)
    view.close()
    return say_all(outcomes, view, options)


async def _every_tag(puller: Puller, requests: list[PullRequest], view: View) -> list[PullRequest]:
    return [
        msgspec.structs.replace(request, reference=reference)
        for request in requests
        for reference in await puller.tags(request, view.report)
    ]


async def _plan(
    puller: Puller, requests: list[PullRequest], view: View, options: Namespace, finding: Account, *, is_kept: bool
) -> int:
    plans = await plan_each(puller.planner(), requests, view.report)
    view.close()
    return say_plans(plans, finding, options, is_kept=is_kept)


def _spelled_out(settings: Settings, wish: Wish, _: Credentials | None) -> PullRequest:
    request = pull_request(settings, Reference.parse(wish.reference), wish.platform)
    return msgspec.structs.replace(request, found=wish.digest)


class _Command:
    """One command's pulls, in this process.

    Args:
        puller: Asks registries.
        pulls: Brings images, and keeps a record of that.
        view: Shows what goes on.
    """

    def __init__(self, puller: Puller, pulls: Pulls, view: View) -> None:
        self._puller = puller
        self._pulls = pulls
        self._view = view

    async def within(self, budget: Budget, requests: list[PullRequest]) -> list[Outcome]:
        """Bring images within a budget; what it does not suffice for is not begun.

        They come in turns: a layer that several have in different blobs comes in the one that was planned.
        """
        planner = self._puller.planner()
        ended: list[Outcome] = []
        try:
            async with budget.kept():
                with keeping_to(OwnLimits(budget=budget)):
                    plans = [await planner.plan(request, self._view.report) for request in requests]
                    budget.check(sum(plan.least for plan in plans))
                    for request, plan in zip(requests, plans, strict=True):
                        ended.append(await self._outcome(msgspec.structs.replace(request, found=plan.digest)))
        except HeadwayError as error:
            ended.append((requests[len(ended)], error))
        return ended

    async def together(self, requests: list[PullRequest]) -> list[Outcome]:
        """Bring images at once."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._outcome(request)) for request in requests]
        return [task.result() for task in tasks]

    async def each_tag(self, requests: list[PullRequest]) -> list[Outcome]:
        """Pull every tag of each repository, one after the other: most of them share most of their layers."""
        outcomes: list[Outcome] = []
        for request in requests:
            try:
                references = await self._puller.tags(request, self._view.report)
            except HeadwayError as error:
                outcomes.append((request, error))
                continue
            for reference in references:
                outcomes.append(  # noqa: PERF401  # one after the other, as the name says
                    await self._outcome(msgspec.structs.replace(request, reference=reference))
                )
        return outcomes

    async def _outcome(self, request: PullRequest) -> Outcome:
        wish = Wish(reference=str(request.reference), platform=str(request.platform), digest=request.found)
        try:
            return request, await self._pulls.pull(wish, self._view.report)
        except HeadwayError as error:
            return request, error
