"""Limits that one pull has for itself, beside those of its process.

Rule: a transfer that several pulls share keeps to those of the pull that began it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from headway.distribution.backoff import RetryPolicy
from headway.service.budget import Budget
from headway.service.shared_rate import SharedRate
from headway.service.slots import Slots

_ANY_NUMBER = 1 << 30


class OwnLimits(msgspec.Struct, frozen=True, kw_only=True):
    """One pull's own limits.

    Attributes:
        attempts: Consecutive attempts, in total, that brought no new byte; None for the process's.
        patience: Seconds without a new byte after which it is given up once these are used up; None for the process's.
        rate: What it keeps to, which lies over the process's; None for that.
        budget: How many bytes may come; None where there is no end to them.
        slots: How many of its layers may come at once, beside the process's limit: what holds itself back takes no more
            than one place from others, for as long as that takes.
        wide: How many of its layers that are fetched alone may come at once (`service.unpack_places`, rule 5).
    """

    attempts: int | None = None
    patience: float | None = None
    rate: SharedRate | None = None
    budget: Budget | None = None
    slots: Slots = msgspec.field(default_factory=lambda: Slots(_ANY_NUMBER))
    wide: Slots = msgspec.field(default_factory=lambda: Slots(1))

    def policy(self, of_process: RetryPolicy) -> RetryPolicy:
        """Return when a download is given up."""
        return RetryPolicy(
            of_process.max_attempts if self.attempts is None else self.attempts,
            of_process.patience_seconds if self.patience is None else self.patience,
        )


_own: ContextVar[OwnLimits] = ContextVar("own_limits", default=OwnLimits())  # noqa: B039  # it is frozen


def own_limits() -> OwnLimits:
    """Return the limits of what this task or thread works for."""
    return _own.get()


def rate_over(of_process: SharedRate) -> SharedRate:
    """Return what this task or thread keeps to: its pull's own rate, or its process's."""
    return _own.get().rate or of_process


@contextmanager
def keeping_to(limits: OwnLimits) -> Iterator[None]:
    """Let the block keep to these limits, and the tasks and threads that are started in it."""
    token = _own.set(limits)
    try:
        yield
    finally:
        _own.reset(token)
