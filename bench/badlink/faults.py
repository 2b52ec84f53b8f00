"""What goes wrong, as data: each row of the table.

Rule: the same for every program, and the same each time: faults strike at bytes, not at moments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.fakes.images import Image, image, noise_layer
from tests.faults.story import (
    CutAfter,
    Effect,
    FlipByte,
    IgnoreRange,
    LinkFault,
    Outage,
    RateLimit,
    ResetAfter,
    SilentAfter,
    Status,
)
from tests.faults.story import Fault as On

MIB = 1 << 20
RATE = 10_000_000.0
"""Bytes a second that the link carries when it carries any."""

LAYERS = (MIB, int(24.01 * MIB), 2 * MIB)


@dataclass(frozen=True, slots=True)
class BadLink:
    """A fault.

    Attributes:
        title: In words, as in the table.
        link: What goes wrong on the way.
        script: What goes wrong at the registry, for the digest of the big layer.
        waits: Seconds that the link is gone, or that the registry asks everybody to wait.
        limit_seconds: When a pull counts as hung, and is ended.
    """

    title: str
    link: Sequence[LinkFault] = ()
    script: Callable[[str], Sequence[On]] = lambda _: ()
    waits: float = 0.0
    limit_seconds: float = 120.0

    def best_seconds(self, size: int) -> float:
        """Return how long `size` bytes take at the least."""
        return size / RATE + self.waits


def big_image() -> Image:
    """Return the image that all pull: a big layer between small ones, of bytes that do not compress."""
    return image([noise_layer(size, seed=size) for size in LAYERS])


def rate() -> RateLimit:
    """Return what the link carries."""
    return RateLimit(RATE)


def of_blob(effect: Effect, digest: str, nth: int | range | None = None) -> On:
    """Return what goes wrong with a blob; each time it is asked for where none is named."""
    return On(effect, kind="blob", digest=digest, nth=nth)


BAD_LINKS = (
    BadLink("none"),
    BadLink("cut (FIN) every 10 MiB", script=lambda big: [of_blob(CutAfter(10 * MIB), big)]),
    BadLink("cut (FIN) every 4 MiB", script=lambda big: [of_blob(CutAfter(4 * MIB), big)]),
    BadLink("reset (RST) every 4 MiB", script=lambda big: [of_blob(ResetAfter(4 * MIB), big)]),
    BadLink("gone for 15 s after 8 MiB", link=[Outage(8 * MIB, 15.0)], waits=15.0),
    BadLink("silent after 8 MiB, once", link=[SilentAfter(8 * MIB)], limit_seconds=30.0),
    BadLink(
        "cut once at 20 MiB, Range ignored",
        script=lambda big: [of_blob(IgnoreRange(), big), of_blob(CutAfter(20 * MIB), big, 1)],
    ),
    BadLink(
        "429 twice, Retry-After: 2",
        script=lambda big: [of_blob(Status(429, {"Retry-After": "2"}), big, range(1, 3))],
        waits=4.0,
    ),
    BadLink("one flipped bit", script=lambda big: [of_blob(FlipByte(9 * MIB), big, 1)]),
)
