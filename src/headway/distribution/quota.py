"""Rate limits that registries announce, in the ``RateLimit-*`` headers of Docker Hub and others."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

_AMOUNT = re.compile(r"\s*(\d{1,12})\s*(?:,[^;]*)?(?:;.*?\bw=(\d{1,9}))?", re.DOTALL)
MAX_SOURCE_CHARACTERS = 64


class Quota(msgspec.Struct, frozen=True):
    """How many requests are allowed in a window of time.

    Attributes:
        limit: Requests per window.
        remaining: Requests that are left; None where the registry does not say.
        window_seconds: Length of the window; 0 where the registry does not say.
        source: The address or account whose requests are counted; empty where the registry does not say.
    """

    limit: int
    remaining: int | None = None
    window_seconds: int = 0
    source: str = ""

    def words(self) -> str:
        """Return the quota in words: ``76 of 100 left per 6 h``."""
        left = f"{self.remaining} of {self.limit} left" if self.remaining is not None else f"{self.limit} allowed"
        window = f" per {_duration(self.window_seconds)}" if self.window_seconds else ""
        return left + window + (f", counted for {self.source}" if self.source else "")


def parse_quota(header: Callable[[str], str | None]) -> Quota | None:
    """Return the quota that an answer's headers name; None where they name none that can be read.

    Args:
        header: Returns the value of a header; None where there is none.
    """
    limit = _amount(header("RateLimit-Limit"))
    if limit is None:
        return None
    remaining = _amount(header("RateLimit-Remaining"))
    source = header("Docker-RateLimit-Source") or ""
    return Quota(
        limit=limit[0],
        remaining=remaining[0] if remaining is not None else None,
        window_seconds=limit[1] or (remaining[1] if remaining is not None else 0),
        source="".join(c for c in source if c.isprintable()).strip()[:MAX_SOURCE_CHARACTERS],
    )


def _duration(seconds: int) -> str:
    for unit, length in (("day", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds // length} {unit}" if seconds > length else unit
    return f"{seconds} s"


def _amount(value: str | None) -> tuple[int, int] | None:
    """Return the number and the window of ``100;w=21600``."""
    match = _AMOUNT.match(value) if value is not None else None
    return (int(match[1]), int(match[2] or 0)) if match is not None else None
