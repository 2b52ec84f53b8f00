"""Parses moments as Docker's users write them: Unix time, RFC 3339, or how long ago (moby-behaviour 8.1, 6.10).

Rule 1: a moment is a whole number of nanoseconds since the epoch, so that the time of an event can be given exactly.
Rule 2: it fits into 64 bits, as in Go: a time before 1677 or after 2262 becomes the first or the last that fits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from headway.errors import InvalidTimeError

SECOND = 1_000_000_000
_LAST = 2**63 - 1
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3_600 * SECOND,
    "d": 86_400 * SECOND,  # Go knows no days; people do
}
_PIECE = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d)"
_DURATION = re.compile(rf"([+-]?)((?:{_PIECE})+)", re.ASCII)
_PIECES = re.compile(_PIECE)
_UNIX = re.compile(r"(-?\d{1,12})(?:\.(\d{1,9}))?", re.ASCII)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d(?::\d\d(?::\d\d)?)?))?(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def parse_moment(text: str, *, now: int) -> int:
    """Return the moment that `text` names, in nanoseconds since the epoch.

    Args:
        text: ``1700000000.5``, ``2026-01-02T03:04:05.6Z`` (local time without a zone; a date alone is its midnight,
            in its zone), or ``1h30m``: that long before `now`.
        now: Nanoseconds since the epoch.

    Raises:
        InvalidTimeError: It is none of them.
    """
    return max(-_LAST, min(_LAST, _moment(text, now)))


def _moment(text: str, now: int) -> int:
    if match := _UNIX.fullmatch(text):
        return int(match[1]) * SECOND + _nano(match[2])
    if match := _DURATION.fullmatch(text):
        length = sum(round(min(_LAST, float(number) * _UNITS[unit])) for number, unit in _PIECES.findall(match[2]))
        return now + length if match[1] == "-" else now - length
    if match := _DATE.fullmatch(text):
        try:
            moment = datetime.fromisoformat(f"{match[1]}T{match[2] or '00'}{match[4] or ''}")
            return round(moment.timestamp()) * SECOND + _nano(match[3])
        except (ValueError, OverflowError):
            pass
    raise InvalidTimeError(f"invalid time {text!r}: write Unix seconds, 2026-01-02T03:04:05Z, or how long ago: 1h30m")


def parse_until(words: Sequence[str], *, now: int) -> int | None:
    """Return the moment that a prune's ``until`` filter names; None without such a filter.

    Args:
        words: The values of the filter.
        now: Nanoseconds since the epoch.

    Raises:
        InvalidTimeError: It is no time, or there are several.
    """
    if len(words) > 1:
        raise InvalidTimeError("more than one until filter specified")
    return parse_moment(words[0], now=now) if words else None


def _nano(fraction: str | None) -> int:
    return int((fraction or "0").ljust(9, "0"))
