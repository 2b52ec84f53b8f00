"""Remembers places that cannot be connected to, and when to look whether they can be again.

Rule 1: a look is a connection without a request. It is not an attempt: it costs a packet or two, is not reported to
        anybody, and does not count towards giving a download up.
Rule 2: the longer a place has been away, the less often it is looked for, so that an outage is noticed to be over after
        a sixteenth of its length at most, and after `MOST_SECONDS`.
"""

from __future__ import annotations

import msgspec

from headway.distribution.recent import Recent

LEAST_SECONDS = 1.0
MOST_SECONDS = 15.0
_PART = 16

Place = tuple[str, int]
"""Host and port of a registry, of a server that it redirects to, or of a proxy."""


class _Outage(msgspec.Struct, frozen=True):
    since: float
    look_at: float


class Outages:
    """The places that are away, as seen by one process.

    Connections report from threads of their own: replacing a record may lose one of two failures at the same moment,
    but is never inconsistent. Times are monotonic, in seconds.
    """

    def __init__(self) -> None:
        self._away: Recent[Place, _Outage] = Recent()

    def failed(self, place: Place, *, now: float) -> None:
        """Report that no connection could be made."""
        before = self._away.get(place)
        since = now if before is None else before.since
        pause = min(MOST_SECONDS, max(LEAST_SECONDS, (now - since) / _PART))
        self._away[place] = _Outage(since, now + pause)

    def worked(self, place: Place) -> None:
        """Report that a connection was made."""
        self._away.pop(place, None)

    def is_away(self, place: Place) -> bool:
        """Tell whether the last report was that no connection could be made."""
        return place in self._away

    def is_look_due(self, place: Place, *, now: float) -> bool:
        """Tell whether it is time to look again."""
        outage = self._away.get(place)
        return outage is not None and now >= outage.look_at
