"""Remembers which endpoints have failed lately, so that others are tried first.

Rule 1: a failure is remembered for a time, which is longer each time it happens again; a success clears it.
Rule 2: this changes the order only: without an alternative, a sick endpoint is still asked.
Rule 3: manifests and blobs are separate: a cache may serve manifests from memory, and hang on blobs on its disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeVar

import msgspec

from headway.distribution.recent import Recent

T = TypeVar("T")
What = Literal["manifest", "blob"]
SICK_SECONDS = 60.0
MAX_SICK_SECONDS = 900.0


class _Illness(msgspec.Struct, frozen=True):
    seconds: float
    until: float


class Health:
    """The failures of one process, by host and kind of request.

    Connections report from threads of their own: replacing a record may lose one of two failures at the same moment,
    but is never inconsistent.
    """

    def __init__(self) -> None:
        self._ill: Recent[tuple[str, What], _Illness] = Recent()

    def failed(self, host: str, what: What, *, now: float) -> None:
        """Report that a host did not answer, or not as a registry does."""
        before = self._ill.get((host, what))
        if before is not None and now < before.until:
            return  # requests that run at the same time fail together, and count once
        seconds = SICK_SECONDS if before is None else min(MAX_SICK_SECONDS, 2 * before.seconds)
        self._ill[host, what] = _Illness(seconds, now + seconds)

    def worked(self, host: str, what: What) -> None:
        """Report that a host answered as it should."""
        self._ill.pop((host, what), None)

    def is_sick(self, host: str, what: What, *, now: float) -> bool:
        """Tell whether a host has failed lately."""
        illness = self._ill.get((host, what))
        return illness is not None and now < illness.until

    def ordered(self, items: Iterable[T], what: What, *, host_of: Callable[[T], str], now: float) -> list[T]:
        """Return `items` in their order, but with those last whose host has failed lately."""
        return sorted(items, key=lambda item: self.is_sick(host_of(item), what, now=now))
