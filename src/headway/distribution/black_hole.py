"""Links on which large packets vanish (RFC 2923): everything small passes, and nothing large ever arrives.

The other side sends segments as large as we said we take. Where two connections in a row came about and brought nothing
large, the next ones say that we take small ones only; where that does not help, two more go back to the usual ones.
"""

from __future__ import annotations

from headway.distribution.recent import Recent

TRIES = 2
SMALL_SEGMENT_BYTES = 1160  # with headers and a tunnel's, below the 1280 that every link must carry (RFC 8200)


class BlackHole:
    """What the connections to each host have shown.

    Connections report from threads of their own; each report replaces one number.
    """

    def __init__(self) -> None:
        self._barren: Recent[str, int] = Recent()

    def segment_bytes(self, host: str) -> int:
        """Return the largest segment to ask for; 0 leaves that to the system."""
        return SMALL_SEGMENT_BYTES if self._barren.get(host, 0) // TRIES % 2 else 0

    def swallowed(self, host: str) -> None:
        """Report a connection that came about and then brought nothing large."""
        self._barren[host] = self._barren.get(host, 0) + 1

    def passed(self, host: str) -> None:
        """Report that something large arrived: what is asked for now is right."""
        if host in self._barren:
            self._barren[host] = TRIES if self.segment_bytes(host) else 0
