"""Decides whether a certificate seems invalid only because this machine's clock is wrong.

Rule 1: the clock is blamed only if the server's clock agrees with the certificate, and not with ours.
Rule 2: the server is not asked again until the clock is set, or a minute has passed: a machine without a battery-backed
        clock may wait for hours.
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
        complaint: What TLS reports about the certificate.
        here: Our time, seconds since the epoch.
        there: Time in the server's ``Date``, seconds since the epoch.
    """
    ahead = here - there
    return ahead < -TOLERANCE_SECONDS if complaint == "not yet valid" else ahead > TOLERANCE_SECONDS


class _Found(msgspec.Struct, frozen=True):
    said: str
    at: float
    offset: float


class ClockWatch:
    """Remembers by which hosts the clock was found to be wrong, until it is set."""

    def __init__(self) -> None:
        self._found: dict[str, _Found] = {}

    def found_wrong(self, host: str, said: str, *, wall: float, now: float) -> None:
        """Remember that the clock was found to be wrong.

        Args:
            host: The server.
            said: The finding, in words.
            wall: Our time, seconds since the epoch.
            now: Monotonic time, in seconds.
        """
        self._found[host] = _Found(said, now, wall - now)

    def still_wrong(self, host: str, *, wall: float, now: float) -> str:
        """Return the finding while there is no reason to ask the server again; an empty text otherwise."""
        found = self._found.get(host)
        if found is None:
            return ""
        if abs((wall - now) - found.offset) < SET_SECONDS and now - found.at < AGAIN_SECONDS:
            return found.said
        self._found.pop(host, None)
        return ""
