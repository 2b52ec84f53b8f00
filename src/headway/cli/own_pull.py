"""`headway pull` in this process, where no daemon holds the store; `remote_pull` is the other way."""

from __future__ import annotations

import asyncio
import signal
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import msgspec

from headway.cli.failures import INTERRUPTED, tell
from headway.cli.plan import say_plans
from headway.cli.progress import View
from headway.cli.pulled import Outcome, say_all
from headway.cli.session import say
from headway.composition.durable import command_pulls
from headway.composition.pulls import pulling
from headway.composition.requests import pull_request
from headway.composition.writing import aside, writing
from headway.daemon.memory import give_back
from headway.distribution.credentials import Credentials
from headway.errors import HeadwayError, StoreReadOnlyError
from headway.interfaces.pulls import Wish
from headway.interfaces.traffic import Account, charged_to
from headway.oci.reference import Reference
from headway.quantities import parse_size
from headway.service.durable_pulls.pulls import Pulls
from headway.service.limits.budget import Budget
from headway.service.limits.own_limits import OwnLimits, keeping_to
from headway.service.pulling.pull import Puller
from headway.service.registries.remote_image import PullRequest
from headway.service.requests.plans import plan_each
from headway.service.stores import Stores
from headway.settings import Settings


class OwnPull:
    """One command's pulls in this process.

    Args:
        settings: In force.
        options: The command line.
        view: Shows what goes on.
        finding: What it has cost to find out which images are meant; listing tags is added to it.
    """

    def __init__(self, settings: Settings, options: Namespace, view: View, finding: Account) -> None:
        self._settings = settings
        self._options = options
        self._view = view
        self._finding = finding

    def run(self, requests: list[PullRequest]) -> int:
        """Bring images and return the exit status; each that fails is explained, and the others go on."""
        with self._opened() as (stores, is_kept):
            try:
                return asyncio.run(self._run(stores, requests, is_kept=is_kept))
            except (KeyboardInterrupt, asyncio.CancelledError):
                self._view.close()
                print(f"headway: stopped; {self._view.kept()}", file=sys.stderr)
                return INTERRUPTED

    @contextmanager
    def _opened(self) -> Iterator[tuple[Stores, bool]]:
        """Open the data root for changes, and tell whether they stay: a dry run changes nothing that it can do without.

        Raises:
            StoreError: It cannot be opened.
        """
        with ExitStack() as opened:
            try:
                stores, is_kept = opened.enter_context(writing(self._settings, say)), True
            except StoreReadOnlyError:
                if not self._options.dry_run:
                    raise
                stores, is_kept = opened.enter_context(aside(self._settings)), False
            yield stores, is_kept

    async def _run(self, stores: Stores, requests: list[PullRequest], *, is_kept: bool) -> int:
        give_back()
        # SIGTERM ends a pull as Ctrl-C does: with everything kept, and said.
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # asyncio.run made it
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        options = self._options
        async with pulling(self._settings, stores) as puller:
            if options.all_tags and (options.dry_run or options.max_bytes is not None):  # these need all of them first
                try:
                    requests = await self._every_tag(puller, requests)
                except HeadwayError as error:
                    if options.dry_run:
                        return tell(error, options)
                    return say_all([(requests[0], error)], self._view, options)
            if options.dry_run:
                return await self._plan(puller, requests, is_kept=is_kept)
            async with command_pulls(puller, stores.pulls, partial(_spelled_out, self._settings)) as pulls:
                if options.max_bytes is not None and requests:
                    outcomes = await self._within_budget(puller, pulls, requests)
                elif options.all_tags:
                    outcomes = await self._each_tag(puller, pulls, requests)
                else:
                    outcomes = await self._together(pulls, requests)
        self._view.close()
        return say_all(outcomes, self._view, options)

    async def _every_tag(self, puller: Puller, requests: list[PullRequest]) -> list[PullRequest]:
        with charged_to(self._finding):
            return [
                msgspec.structs.replace(request, reference=reference)
                for request in requests
                for reference in await puller.tags(request, self._view.report)
            ]

    async def _plan(self, puller: Puller, requests: list[PullRequest], *, is_kept: bool) -> int:
        plans = await plan_each(puller.planner(), requests, self._view.report)
        self._view.close()
        return say_plans(plans, self._finding, self._options, is_kept=is_kept)

    async def _within_budget(self, puller: Puller, pulls: Pulls, requests: list[PullRequest]) -> list[Outcome]:
        """Bring images within a budget; what it does not suffice for is not begun.

        They come in turns: a layer that several have in different blobs comes in the one that was planned.
        """
        began = puller.meter.received_bytes - self._finding.received_bytes
        budget = Budget(puller.meter, parse_size(self._options.max_bytes), began=began)
        planner = puller.planner()
        ended: list[Outcome] = []
        try:
            async with budget.kept():
                with keeping_to(OwnLimits(budget=budget)):
                    plans = [await planner.plan(request, self._view.report) for request in requests]
                    budget.check(sum(plan.least for plan in plans))
                    for request, plan in zip(requests, plans, strict=True):
                        planned = msgspec.structs.replace(request, found=plan.digest)
                        ended.append(await self._outcome(pulls, planned))
        except HeadwayError as error:
            ended.append((requests[len(ended)], error))
        return ended

    async def _together(self, pulls: Pulls, requests: list[PullRequest]) -> list[Outcome]:
        """Bring images at once."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._outcome(pulls, request)) for request in requests]
        return [task.result() for task in tasks]

    async def _each_tag(self, puller: Puller, pulls: Pulls, requests: list[PullRequest]) -> list[Outcome]:
        """Pull every tag of each repository, one after the other: most of them share most of their layers."""
        outcomes: list[Outcome] = []
        for request in requests:
            try:
                references = await puller.tags(request, self._view.report)
            except HeadwayError as error:
                outcomes.append((request, error))
                continue
            for reference in references:
                named = msgspec.structs.replace(request, reference=reference)
                outcomes.append(await self._outcome(pulls, named))
        return outcomes

    async def _outcome(self, pulls: Pulls, request: PullRequest) -> Outcome:
        wish = Wish(reference=str(request.reference), platform=str(request.platform), digest=request.found)
        try:
            return request, await pulls.pull(wish, self._view.report)
        except HeadwayError as error:
            return request, error


def _spelled_out(settings: Settings, wish: Wish, _: Credentials | None) -> PullRequest:
    request = pull_request(settings, Reference.parse(wish.reference), wish.platform)
    return msgspec.structs.replace(request, found=wish.digest)
