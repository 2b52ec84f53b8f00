"""Limits that can be changed while transfers run (moby-behaviour 2.1, 7.4, without the defects 9.3 and 9.8)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from headway.distribution.backoff import RetryPolicy
from headway.distribution.transfer_limits import TransferLimits
from headway.service.limits.own_limits import own_limits
from headway.service.limits.shared_rate import SharedRate


class LiveLimits:
    """The limits of one process. They are changed in the event loop that the transfers run in.

    Attributes:
        current: The limits in force.
        rate: The rate limit that all downloads share.

    Raises:
        InvalidSettingError: A limit is not valid.
    """

    def __init__(self, limits: TransferLimits) -> None:
        self.current = limits.checked()
        self.rate = SharedRate(self.current.max_download_rate)
        self._listeners: list[Callable[[TransferLimits], None]] = []

    def policy(self) -> RetryPolicy:
        """Return when to give up a download; running downloads ask before each attempt, each for its own pull."""
        return own_limits().policy(RetryPolicy(self.current.max_download_attempts, self.current.download_patience))

    def attach(self, listener: Callable[[TransferLimits], None]) -> None:
        """Call `listener` with the limits in force whenever they change."""
        self._listeners.append(listener)

    def update(self, **said: float | None) -> TransferLimits:
        """Change limits by name, all or nothing; None leaves one as it is. Return the limits then in force.

        A higher number of downloads starts waiting ones; a lower one lets those that run finish. Attempts and patience
        hold for running downloads, too, from their next failure on.

        Raises:
            InvalidSettingError: A limit is not valid; none is changed.
        """
        changed = {name: value for name, value in said.items() if value is not None}
        self.current = msgspec.structs.replace(self.current, **changed).checked()
        self.rate.set(self.current.max_download_rate)
        for listener in self._listeners:
            listener(self.current)
        return self.current
