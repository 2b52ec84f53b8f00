"""Numbers and points in time, as the command line shows them."""

from __future__ import annotations

import time

from headway.oci.moment import microseconds
from headway.units import counted, duration, size

__all__ = ["about", "ago", "bit_rate", "clock", "counted", "duration", "size"]


def ago(created: str) -> str:
    """Return how long ago an RFC 3339 time was: ``3 weeks ago``; ``N/A`` where it cannot be read."""
    moment = microseconds(created)
    if moment is None:
        return "N/A"
    seconds = time.time() - moment / 1e6
    for unit, length, until in _AGES:
        if seconds < until:
            count = int(seconds // length)
            return f"{counted(count, unit)} ago" if count > 0 else "just now"
    return "N/A"


def about(seconds: float) -> str:
    """Return a duration that is an estimate, rounded: ``40 s``, ``7 min``, ``3 h``."""
    for unit, length, until in (("s", 1, 90), ("min", 60, 5400), ("h", 3600, 48 * 3600)):
        if seconds < until:
            return f"{max(1, round(seconds / length))} {unit}"
    return f"{round(seconds / 86400)} days"


def bit_rate(bytes_per_second: float) -> str:
    """Return a rate in the units that links are sold by, to two digits: ``1.2 Mbit/s``, ``56 kbit/s``."""
    bits = bytes_per_second * 8
    for unit, factor in (("Gbit", 1e9), ("Mbit", 1e6), ("kbit", 1e3)):
        if bits >= factor:
            return f"{bits / factor:.{'2g' if bits < 10 * factor else '0f'}} {unit}/s"
    return f"{bits:.0f} bit/s"


def clock(moment: float, now: float) -> str:
    """Return a time (seconds since the epoch) in local time: ``09:14``, with the date if it is not today's."""
    then, today = time.localtime(moment), time.localtime(now)
    same_day = (then.tm_year, then.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M", then)


_AGES = (
    ("second", 1, 60),
    ("minute", 60, 3600),
    ("hour", 3600, 2 * 86400),
    ("day", 86400, 14 * 86400),
    ("week", 7 * 86400, 60 * 86400),
    ("month", 30 * 86400, 730 * 86400),
    ("year", 365 * 86400, float("inf")),
)
