"""Parses durations, sizes and priorities that people write on command lines and in daemon.json."""

from __future__ import annotations

import math
import re

from headway.errors import InvalidSettingError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> float:
    """Return ``90s``, ``2h``, ``1h30m``, ``0`` or ``forever`` in seconds.

    Raises:
        InvalidSettingError: `text` has none of these forms.
    """
    if text == "forever":
        return math.inf
    if text == "0":
        return 0.0
    if not text or _DURATION.sub("", text):
        raise InvalidSettingError(f"invalid duration {text!r}: write 90s, 10m, 2h, 0 or forever")
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s?([kKMGT]?)(iB|B)?\Z")
_MOST = 1 << 63  # more than SQLite's integers hold
_POWERS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}


def parse_size(text: str) -> int:
    """Return ``500k``, ``2M``, ``1.5G`` or ``512MiB`` in bytes: decimal units, or binary ones with an ``i``.

    Raises:
        InvalidSettingError: `text` has none of these forms, or is too large.
    """
    found = _SIZE.match(text)
    if found is None or (found[3] == "iB" and not found[2]):
        raise InvalidSettingError(f"invalid size {text!r}: write 500k, 2M, 1.5G or 512MiB")
    unit: int = (1024 if found[3] == "iB" else 1000) ** _POWERS[found[2]]
    if (size := float(found[1]) * unit) >= _MOST:
        raise InvalidSettingError(f"invalid size {text!r}: it is larger than any that there is")
    return round(size)


_PRIORITIES = {"low": -10, "normal": 0, "high": 10}


def parse_priority(text: str) -> int:
    """Return ``low``, ``normal``, ``high`` or a whole number of at most six digits as a number; higher goes first.

    Raises:
        InvalidSettingError: `text` has none of these forms.
    """
    if text in _PRIORITIES:
        return _PRIORITIES[text]
    digits = text.removeprefix("-")
    if digits.isdecimal() and len(digits) <= 6:
        return int(text)
    raise InvalidSettingError(f"invalid priority {text!r}: write low, normal, high or a number")
