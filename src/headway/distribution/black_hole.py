"""Finds links on which large packets vanish (RFC 2923): small ones pass, and nothing large ever arrives.

The other side sends segments up to the size that we announce. If two connections in a row were made and brought nothing
large, the next ones announce a small size; if that does not help, two more announce the usual one, and so on.
"""

from __future__ import annotations

from headway.distribution.recent import Recent

TRIES = 2
SMALL_SEGMENT_BYTES = 1160  # with its headers and a tunnel's below 1280, which every link must carry (RFC 8200)


class BlackHole:
    """How many connections in a row to each host have brought nothing large.

    Connections report from threads of their own; each report replaces one number.
    """

    def __init__(self) -> None:
        self._barren: Recent[str, int] = Recent()

    def segment_bytes(self, host: str) -> int:
        """Return the largest segment to announce, in bytes; 0 leaves that to the system."""
        return SMALL_SEGMENT_BYTES if self._barren.get(host, 0) // TRIES % 2 else 0

    def swallowed(self, host: str) -> None:
        """Report that a connection was made, and then brought nothing large."""
        self._barren[host] = self._barren.get(host, 0) + 1

    def passed(self, host: str) -> None:
        """Report that something large arrived, so that the size announced now is right."""
        if host in self._barren:
            self._barren[host] = TRIES if self.segment_bytes(host) else 0
