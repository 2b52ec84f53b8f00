"""Which unfinished downloads go, by the limits that the user has set. No I/O.

Rule: without a limit nothing goes: a byte that has arrived was paid for. Under a limit the oldest goes first, and never
one that a pull under way needs.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable

import msgspec

from headway.oci.digest import Digest


class Unfinished(msgspec.Struct, frozen=True):
    """A blob of which some bytes are here.

    Attributes:
        digest: What it will be.
        held: Bytes that are here.
        written: When the last of them came, seconds since the epoch.
    """

    digest: Digest
    held: int
    written: float


class Limits(msgspec.Struct, frozen=True):
    """How long and how much unfinished downloads are kept.

    Attributes:
        max_age_seconds: Since the last byte; infinity keeps them for ever.
        max_bytes: Of all together; None sets no limit.
    """

    max_age_seconds: float = math.inf
    max_bytes: int | None = None


def too_old(found: Iterable[Unfinished], limits: Limits, *, now: float, needed: Container[Digest]) -> list[Unfinished]:
    """Return those whose last byte came too long ago, oldest first; one from the future (a wrong clock) is new."""
    old = [each for each in found if now - each.written > limits.max_age_seconds and each.digest not in needed]
    return sorted(old, key=_age)


def too_much(found: Iterable[Unfinished], limits: Limits, *, needed: Container[Digest]) -> list[Unfinished]:
    """Return those that have to go, oldest first, so that the rest keeps the limit as far as it may."""
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
