"""Limits of a single pull, on top of those of its process.

Rule: a transfer that several pulls share keeps to the limits of the pull that began it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from headway.distribution.backoff import RetryPolicy
from headway.service.concurrency.slots import Slots
from headway.service.limits.budget import Budget
from headway.service.limits.shared_rate import SharedRate

_ANY_NUMBER = 1 << 30


class OwnLimits(msgspec.Struct, frozen=True, kw_only=True):
    """One pull's own limits.

    Attributes:
        attempts: How many attempts in a row may bring no new byte; None for the process's number.
        patience: Seconds without a new byte after which it is given up once the attempts are used up; None for the
            process's.
        rate: Its own rate limit, within that of the process; None for the process's alone.
        budget: How many bytes it may receive; None for any number.
        slots: How many of its layers may be fetched at once, within the process's limit. A pull with a rate of its own
            has one: it would occupy more places of others for a long time.
        wide: How many of its layers that are fetched alone may be fetched at once (`unpack_places`, rule 5).
    """

    attempts: int | None = None
    patience: float | None = None
    rate: SharedRate | None = None
    budget: Budget | None = None
    slots: Slots = msgspec.field(default_factory=lambda: Slots(_ANY_NUMBER))
    wide: Slots = msgspec.field(default_factory=lambda: Slots(1))

    def policy(self, of_process: RetryPolicy) -> RetryPolicy:
        """Return the retry policy of the pull's downloads."""
        return RetryPolicy(
            of_process.max_attempts if self.attempts is None else self.attempts,
            of_process.patience_seconds if self.patience is None else self.patience,
        )


_own: ContextVar[OwnLimits] = ContextVar("own_limits", default=OwnLimits())  # noqa: B039  # it is frozen


def own_limits() -> OwnLimits:
    """Return the limits of the pull that the current task or thread works for."""
    return _own.get()


def rate_over(of_process: SharedRate) -> SharedRate:
    """Return the rate limit of the current task or thread: its pull's own, or its process's."""
    return _own.get().rate or of_process


@contextmanager
def keeping_to(limits: OwnLimits) -> Iterator[None]:
    """Set the limits for the block, and for the tasks and threads that are started in it."""
    token = _own.set(limits)
    try:
        yield
    finally:
        _own.reset(token)
