"""Finding a record by the first digits of its hex ID, with the help of the database's index."""

from __future__ import annotations

_HEX = frozenset("0123456789abcdef")


def can_begin(text: str) -> bool:
    """Tell whether `text` can be the beginning of an ID; an empty text cannot."""
    return bool(text) and _HEX.issuperset(text)


def bounds(beginning: str) -> tuple[str, str]:
    """Return the bounds, lower included and upper excluded, of all hex texts that begin with `beginning`."""
    return beginning, f"{beginning}g"  # g sorts behind every hex digit
