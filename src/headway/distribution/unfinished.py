"""Decides which unfinished downloads to remove, by the user's limits. No I/O.

Rule: without a limit nothing is removed, for a byte that has arrived was paid for. With one, the oldest downloads are
removed first, and never one that a running pull needs.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable

import msgspec

from headway.oci.digest import Digest


class Unfinished(msgspec.Struct, frozen=True):
    """A blob of which some bytes are held.

    Attributes:
        digest: Digest of the blob.
        held: How many bytes are held.
        written: When the last of them arrived, seconds since the epoch.
    """

    digest: Digest
    held: int
    written: float


class Limits(msgspec.Struct, frozen=True):
    """Limits on unfinished downloads.

    Attributes:
        max_age_seconds: How long after its last byte a download is kept; infinity for ever.
        max_bytes: Bytes that all downloads may hold together; None for no limit.
    """

    max_age_seconds: float = math.inf
    max_bytes: int | None = None


def too_old(found: Iterable[Unfinished], limits: Limits, *, now: float, needed: Container[Digest]) -> list[Unfinished]:
    """Return the downloads that are too old, oldest first; one from the future, by a wrong clock, counts as new."""
    old = [each for each in found if now - each.written > limits.max_age_seconds and each.digest not in needed]
    return sorted(old, key=_age)


def too_much(found: Iterable[Unfinished], limits: Limits, *, needed: Container[Digest]) -> list[Unfinished]:
    """Return the downloads to remove, oldest first, so that the rest is within the limit, if that is possible."""
    found = sorted(found, key=_age)
    excess = sum(each.held for each in found) - (math.inf if limits.max_bytes is None else limits.max_bytes)
    going = []
    for each in found:
        if excess > 0 and each.digest not in needed:
            going.append(each)
            excess -= each.held
    return going


def _age(unfinished: Unfinished) -> tuple[float, Digest]:
    return unfinished.written, unfinished.digest
