"""What is asked and answered of the cost of several pulls, by Headway's own command and its daemon."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from headway.distribution.credentials import Credentials
from headway.errors import HeadwayError
from headway.interfaces.pulls import Wish
from headway.service.pulling.planning import Planner, PullPlan
from headway.service.registries.remote_image import PullRequest
from headway.service.transfers.progress import Report


class PlanRequest(msgspec.Struct, frozen=True):
    """What one errand would pull: a layer that several of the images need is counted once.

    Attributes:
        wishes: In order.
        logins: Who asks for each of them.
    """

    wishes: tuple[Wish, ...]
    logins: tuple[Credentials | None, ...]

    def __post_init__(self) -> None:
        if len(self.logins) != len(self.wishes):
            raise ValueError("there must be a login, or null, for each wish")


class Planned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The plan of one pull, or why there is none."""

    plan: PullPlan | None = None
    error: HeadwayError | None = None


class Plans(msgspec.Struct, frozen=True, kw_only=True):
    """The plans of an errand.

    Attributes:
        planned: One for each wish.
        asked: What making them cost: ``requests``, ``received_bytes``.
    """

    planned: list[Planned]
    asked: dict[str, int]


async def plan_each(planner: Planner, requests: Iterable[PullRequest], report: Report) -> Plans:
    """Plan the pulls of one errand; one that cannot be planned is no reason to leave out the others."""
    planned = [await _planned(planner, request, report) for request in requests]
    return Plans(planned=planned, asked=planner.asked)


async def _planned(planner: Planner, request: PullRequest, report: Report) -> Planned:
    try:
        return Planned(plan=await planner.plan(request, report))
    except HeadwayError as error:
        return Planned(error=error)
