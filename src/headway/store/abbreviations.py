"""IDs in hex that are given by their first digits, and found by index."""

from __future__ import annotations

_HEX = frozenset("0123456789abcdef")


def can_begin(text: str) -> bool:
    """Tell whether an ID can begin with `text`; nothing at all is no beginning."""
    return bool(text) and _HEX.issuperset(text)


def bounds(beginning: str) -> tuple[str, str]:
    """Return the first of all texts that go on like this in hex, and one behind the last of them."""
    return beginning, f"{beginning}g"  # which follows every hex digit
