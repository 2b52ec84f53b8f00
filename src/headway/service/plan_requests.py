"""What is asked and answered of the cost of pulls, by Headway's own command and its daemon."""

from __future__ import annotations

import msgspec

from headway.distribution.credentials import Credentials
from headway.errors import HeadwayError
from headway.interfaces.pulls import Wish
from headway.service.planning import PullPlan


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
