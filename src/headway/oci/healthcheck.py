"""Parses ``HEALTHCHECK`` into the form of an image's config (Dockerfile reference; moby-behaviour 6.7).

Rule: times are nanoseconds, as in Go; a value that no option sets is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from headway.errors import InvalidChangeError
from headway.oci.dockerfile import Instruction, go_quoted, json_list

_SHORTEST = 1_000_000
_TOO_LONG = 2**63
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # micro sign
    "μs": 1_000,  # Greek letter mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)", re.ASCII)
_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",  # since v25
}


def parse_healthcheck(line: Instruction) -> dict[str, Any]:
    """Return the ``Healthcheck`` that an instruction describes.

    Raises:
        InvalidChangeError: It is not valid; in Docker's words.
    """
    kind, _, rest = re.sub(r"\s+", " ", line.rest, count=1).partition(" ")
    if not kind:
        raise InvalidChangeError("HEALTHCHECK requires at least one argument")
    if kind.upper() == "NONE":
        if rest.strip():
            raise InvalidChangeError("HEALTHCHECK NONE takes no arguments")
        return {"Test": ["NONE"]}
    options = flags_of(line.flags, (*_TIMES, "retries"))
    if kind.upper() != "CMD":
        raise InvalidChangeError(f"Unknown type {go_quoted(kind.upper())} in HEALTHCHECK (try CMD)")
    command = json_list(rest)
    test = ["CMD-SHELL", rest.strip()] if command is None else ["CMD", *command]
    if not test[1:] or not any(test[1:]):
        raise InvalidChangeError("Missing command after HEALTHCHECK CMD")
    times = {key: _time(name, options[name]) for name, key in _TIMES.items() if options.get(name)}
    retries = {"Retries": _retries(options["retries"])} if options.get("retries") else {}
    return {"Test": test, **times, **retries}


def flags_of(flags: Iterable[str], known: Iterable[str] = ()) -> dict[str, str]:
    """Return the values of an instruction's flags, by name.

    Raises:
        InvalidChangeError: A flag is unknown, has no value, or occurs twice.
    """
    found: dict[str, str] = {}
    for flag in flags:
        name, equals, value = flag.removeprefix("--").partition("=")
        if name not in known:
            raise InvalidChangeError(f"Unknown flag: {name}")
        if name in found:
            raise InvalidChangeError(f"Duplicate flag specified: {name}")
        if not equals:
            raise InvalidChangeError(f"Missing a value on flag: {name}")
        found[name] = value
    return found


def _time(name: str, text: str) -> int:
    length = _duration(text)
    if length < _SHORTEST:
        raise InvalidChangeError(f'Interval "{name}" cannot be less than 1ms')
    return length


def _duration(text: str) -> int:
    """Return the nanoseconds of a duration as Go writes it: ``1m30s``."""
    sign, plain = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    parts = _NUMBER.findall(plain)
    if not parts or "".join(number + unit for number, unit in parts) != plain:
        if plain == "0":
            return 0
        raise InvalidChangeError(f'time: invalid duration "{text}"')
    if plain == "0":
        return 0
    for _, unit in parts:
        if not unit:
            raise InvalidChangeError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise InvalidChangeError(f'time: unknown unit "{unit}" in duration "{text}"')
    length = sum(round(min(_TOO_LONG, float(number) * _UNITS[unit])) for number, unit in parts)
    if length >= _TOO_LONG:
        raise InvalidChangeError(f'time: invalid duration "{text}"')
    return sign * length


def _retries(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,10}", text, re.ASCII):
        raise InvalidChangeError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if int(text) < 1:
        raise InvalidChangeError(f"--retries must be at least 1 (not {int(text)})")
    return int(text)
