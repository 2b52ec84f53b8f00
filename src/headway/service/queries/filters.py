"""Filters as docker sends them: several values for a name, and what they ask for (moby-behaviour 6.1).

Rule: an unknown filter, or a value that it cannot have, is refused in Docker 28's words and never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from headway.errors import InvalidFilterError

Filters: TypeAlias = Mapping[str, Sequence[str]]
"""Values by name; a name without values asks for nothing."""

NO_FILTERS: Filters = {}

_TRUE, _FALSE = {"1", "true"}, {"0", "false"}


def parse_filters(words: Sequence[str]) -> dict[str, list[str]]:
    """Return the filters of a command line, each ``name=value``.

    Raises:
        InvalidFilterError: One has no ``=``, or nothing in front of it.
    """
    filters: dict[str, list[str]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise InvalidFilterError(word)
        filters.setdefault(key.strip().lower(), []).append(value.strip())
    return filters


def require_known(filters: Filters, known: Collection[str]) -> None:
    """Refuse every filter that is not `known`.

    Raises:
        InvalidFilterError: There is one.
    """
    for key in filters:
        if key not in known:
            raise InvalidFilterError(key)


def truth(filters: Filters, key: str) -> bool | None:
    """Return what a filter with one truth value says; None where it says nothing.

    Raises:
        InvalidFilterError: It says neither ``true`` (``1``) nor ``false`` (``0``), or both.
    """
    if key not in filters:
        return None
    values = set(filters[key])
    is_true, is_false = bool(values & _TRUE), bool(values & _FALSE)
    if is_true == is_false:
        raise InvalidFilterError(key, filters[key])
    return is_true


def labels_match(wanted: Sequence[str], labels: Mapping[str, str]) -> bool:
    """Tell whether `labels` have every ``key`` and every ``key=value`` that is wanted."""
    return all(_label_matches(each, labels) for each in wanted)


def _label_matches(wanted: str, labels: Mapping[str, str]) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def reference_pattern(pattern: str) -> re.Pattern[str]:
    """Return what a pattern of names means: ``*`` and ``?`` stop at ``/``, as in Go's path.Match.

    Raises:
        InvalidFilterError: Its brackets or backslashes have no end.
    """
    position, chunks = 0, [""]
    while position < len(pattern):
        piece = _PIECE.match(pattern, position)
        if piece is None:
            raise InvalidFilterError("reference", (pattern,))
        if piece["any"] == "*":
            chunks.append("")
        else:
            chunks[-1] += _regex(piece)
        position = piece.end()
    first, *others = chunks
    # As in Go, what stands between two stars is where it is met first: to try every place takes years for ten stars.
    between = "".join(f"(?>[^/]*?{chunk})" for chunk in others[:-1])
    try:
        return re.compile(f"{first}{between}" + "".join(f"[^/]*{chunk}" for chunk in others[-1:]))
    except re.error:  # a range whose end comes before its start
        raise InvalidFilterError("reference", (pattern,)) from None


_PIECE = re.compile(
    r"(?P<any>[*?])|\[(?P<not>\^?+)(?P<set>(?:\\.|[^\]\\])+)\]|\\(?P<quoted>.)|(?P<plain>[^\[\\])", re.S
)
_MEMBER = re.compile(r"(?:\\(.)|(.))(?:-(?:\\(.)|([^-])))?", re.S)


def _regex(piece: re.Match[str]) -> str:
    if piece["any"]:
        return "[^/]"
    if piece["set"] is None:
        return re.escape(piece["quoted"] or piece["plain"])
    members = [
        re.escape(low or low_plain) + (f"-{re.escape(high or high_plain)}" if high or high_plain else "")
        for low, low_plain, high, high_plain in _MEMBER.findall(piece["set"])
    ]
    return f"[{piece['not']}{''.join(members)}]"
