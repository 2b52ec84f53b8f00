"""Which endpoints have failed lately, so that nobody waits for them again at once.

Rule 1: a failure is remembered for a time, longer each time it comes again; a success clears it.
Rule 2: it only changes the order: who has nobody else to ask still asks them.
Rule 3: manifests and blobs are told apart: a cache may answer for what it keeps in memory and hang on its disk.
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
    """What has failed in one process, by host and by what was asked of it.

    Connections report from threads of their own: a record that is replaced may lose one of two failures that come at
    the same moment, and never breaks.
    """

    def __init__(self) -> None:
        self._ill: Recent[tuple[str, What], _Illness] = Recent()

    def failed(self, host: str, what: What, *, now: float) -> None:
        """Report that a host did not answer, or answered what no registry does."""
        before = self._ill.get((host, what))
        if before is not None and now < before.until:
            return  # requests that were under way together fail together, and count once
        seconds = SICK_SECONDS if before is None else min(MAX_SICK_SECONDS, 2 * before.seconds)
        self._ill[host, what] = _Illness(seconds, now + seconds)

    def worked(self, host: str, what: What) -> None:
        """Report that a host gave what it was asked for."""
        self._ill.pop((host, what), None)

    def is_sick(self, host: str, what: What, *, now: float) -> bool:
        """Tell whether a host has failed lately."""
        illness = self._ill.get((host, what))
        return illness is not None and now < illness.until

    def ordered(self, items: Iterable[T], what: What, *, host_of: Callable[[T], str], now: float) -> list[T]:
        """Return `items` with those whose host has failed lately last; otherwise the order stays."""
        return sorted(items, key=lambda item: self.is_sick(host_of(item), what, now=now))
