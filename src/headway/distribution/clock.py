"""Whether it is this machine's clock that a certificate is not valid by.

Rule 1: the clock is named only where the server's own clock agrees with the certificate and not with ours.
Rule 2: the network is not asked again before the clock was set, or a minute has passed: a machine without a clock of
        its own may wait for hours.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Complaint = Literal["not yet valid", "expired"]
TOLERANCE_SECONDS = 120.0
AGAIN_SECONDS = 60.0
SET_SECONDS = 1.0


def is_clock_wrong(complaint: Complaint, *, here: float, there: float) -> bool:
    """Tell whether our clock is the reason why a certificate seems not to be valid.

    Args:
        complaint: What TLS said of the certificate.
        here: Our time, in seconds since the epoch.
        there: What the server's ``Date`` says.
    """
    ahead = here - there
    return ahead < -TOLERANCE_SECONDS if complaint == "not yet valid" else ahead > TOLERANCE_SECONDS


class _Found(msgspec.Struct, frozen=True):
    said: str
    at: float
    offset: float


class ClockWatch:
    """Remembers at which hosts the clock was found wrong, until it is set."""

    def __init__(self) -> None:
        self._found: dict[str, _Found] = {}

    def found_wrong(self, host: str, said: str, *, wall: float, now: float) -> None:
        """Remember what was found.

        Args:
            host: Where.
            said: In words.
            wall: Our time, in seconds since the epoch.
            now: Monotonic time, in seconds.
        """
        self._found[host] = _Found(said, now, wall - now)

    def still_wrong(self, host: str, *, wall: float, now: float) -> str:
        """Return what was found, as long as there is no reason to look again; otherwise nothing."""
        found = self._found.get(host)
        if found is None:
            return ""
        if abs((wall - now) - found.offset) < SET_SECONDS and now - found.at < AGAIN_SECONDS:
            return found.said
        self._found.pop(host, None)
        return ""
