"""Builds durable pulls, which have a record: those of a daemon, which survive its restart, and those of one command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from headway.composition.network import credential_source
from headway.distribution.credentials import Credentials
from headway.errors import InvalidSettingError
from headway.interfaces.pulls import PullStore, Wish
from headway.interfaces.traffic import account
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.service.concurrency.slots import Slots
from headway.service.durable_pulls.pulls import Pulls
from headway.service.durable_pulls.runs import Bring
from headway.service.limits.budget import Budget
from headway.service.limits.own_limits import OwnLimits, keeping_to, own_limits
from headway.service.limits.shared_rate import SharedRate
from headway.service.pulling.pull import Puller
from headway.service.registries.remote_image import PullRequest
from headway.service.transfers.progress import PullDone, Report
from headway.settings import Settings

if TYPE_CHECKING:
    from headway.service.image_service import ImageService  # a pull by one command needs none of what it brings

Spell = Callable[[Wish, Credentials | None], PullRequest]
"""Turns a wish for an image, and the login to use (None for this machine's own), into a request to registries."""


@asynccontextmanager
async def durable_pulls(
    service: ImageService, store: PullStore, settings: Settings, *, may_detach: Callable[[], bool] = lambda: False
) -> AsyncIterator[Pulls]:
    """Give the pulls of this process, including those an earlier one left unfinished; they stop at the block's end.

    Args:
        service: Pulls the images.
        store: Where pulls are recorded.
        settings: Say where this process's own logins are.
        may_detach: As for `Pulls`.
    """
    logins = credential_source(settings)

    def has_login(text: str) -> bool:
        reference = Reference.parse(text)
        try:
            return logins(reference.repository) is not None
        except InvalidSettingError:  # reported once a login is needed
            return False

    def spell(wish: Wish, login: Credentials | None) -> PullRequest:
        reference, platform = Reference.parse(wish.reference), Platform.parse(wish.platform)
        request = service.pull_request(reference, platform, login, wish.mirrors, wish.insecure)
        return msgspec.structs.replace(request, found=wish.digest)

    bring = bringing(service.distribution_services().download_manager, spell)
    async with asyncio.TaskGroup() as group:
        pulls = Pulls(store, bring, group=group, may_detach=may_detach, has_login=has_login)
        await pulls.take_up()
        try:
            yield pulls
        finally:
            await pulls.stop()


@asynccontextmanager
async def command_pulls(puller: Puller, store: PullStore, spell: Spell) -> AsyncIterator[Pulls]:
    """Give the pulls of one command, which continue what earlier commands left; they stop at the block's end.

    Args:
        puller: Pulls the images.
        store: Where pulls are recorded.
        spell: See `Spell`.
    """
    async with asyncio.TaskGroup() as group:
        pulls = Pulls(store, bringing(puller, spell), group=group)
        await pulls.take_up_stopped()
        try:
            yield pulls
        finally:
            await pulls.stop()


def bringing(puller: Puller, spell: Spell) -> Bring:
    """Return the function that makes one attempt at a wished-for image, within the limits of its wish."""

    def own_limits_of(wish: Wish, budget: Budget | None) -> OwnLimits:
        limits = OwnLimits(attempts=wish.attempts, patience=wish.patience, budget=budget or own_limits().budget)
        if not wish.rate:
            return limits
        return msgspec.structs.replace(limits, rate=SharedRate(wish.rate, over=puller.tools.rate), slots=Slots(1))

    async def bring(wish: Wish, login: Credentials | None, report: Report) -> PullDone:
        request, charged = spell(wish, login), account()
        budget = None if wish.max_bytes is None or charged is None else Budget(charged, wish.max_bytes)
        with keeping_to(own_limits_of(wish, budget)):
            if budget is None:
                return await puller.pull(request, report)
            return await _within(budget, puller, request, report)

    return bring


async def _within(budget: Budget, puller: Puller, request: PullRequest, report: Report) -> PullDone:
    """Pull an image within a budget; a pull that is known to exceed it is not begun."""
    async with budget.kept():
        plan = await puller.planner().plan(request, report)
        budget.check(plan.least)
        done = await puller.pull(msgspec.structs.replace(request, found=plan.digest), report)
    return done  # noqa: RET504  # the block may end otherwise than by returning
