"""Places to which no connection can be made, and when to look whether one can be again.

Rule 1: a look is a connection that asks nothing. It is no attempt: it costs a packet or two where an attempt is told to
        whoever watches, and brings nearer the moment at which a download is given up.
Rule 2: the longer a place has been away, the more seldom it is looked for: an outage lasts a sixteenth longer than it
        would for somebody who looks all the time, and at most `MOST_SECONDS`.
"""

from __future__ import annotations

import msgspec

from headway.distribution.recent import Recent

LEAST_SECONDS = 1.0
MOST_SECONDS = 15.0
_PART = 16

Place = tuple[str, int]
"""Host and port: those of a registry, of what it sends us to, or of a proxy."""


class _Outage(msgspec.Struct, frozen=True):
    since: float
    look_at: float


class Outages:
    """What is away, in one process.

    Connections report from threads of their own: a record that is replaced may lose one of two failures that come at
    the same moment, and never breaks. Times are monotonic, in seconds.
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
        """Report that one was made."""
        self._away.pop(place, None)

    def is_away(self, place: Place) -> bool:
        """Tell whether the last that was heard is that no connection could be made."""
        return place in self._away

    def is_look_due(self, place: Place, *, now: float) -> bool:
        """Tell whether it is time to look again."""
        outage = self._away.get(place)
        return outage is not None and now >= outage.look_at
