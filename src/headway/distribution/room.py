"""Whether an image fits on the disk: what is certain, and what is likely. No I/O.

Rule 1: only what cannot fit is refused; an estimate warns and never refuses.
Rule 2: a layer lies there twice until it is committed, as the blob that arrives and as the tree that is made of it;
        then its blob goes. What is held of it already takes no more room.
Rule 3: the last blob and its whole tree are there at once, whatever the order: that is the peak.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto

import msgspec

from headway.units import counted

LEAST_RATIO = 0.5
"""Less than what any layer unpacks to, of its compressed size: gzip and zstd add 0.1 % at most to what they cannot
compress, and a file system that compresses saves no more than they did. Half leaves room for the odd one."""

USUAL_RATIO = 3.0
"""Bytes on disk by compressed bytes, of usual images: 2.2 (alpine) to 3.2 (python) with clusters of 4 KiB."""

USUAL_ENTRIES = 250 / 1_000_000
"""Files, directories and links by compressed byte, of usual images."""

_EXPERIENCE_BYTES = 1_000_000  # less than that says nothing about others
_INODES_OF_A_LAYER = 4  # the ingest's directory and its two files, and the tree's


class Incoming(msgspec.Struct, frozen=True):
    """A layer that is not here, or not unpacked.

    Attributes:
        size: Of its blob, in bytes.
        held: How many of these are here.
        is_compressed: Whether its media type says so.
    """

    size: int
    held: int = 0
    is_compressed: bool = True


class Experience(msgspec.Struct, frozen=True):
    """What compressed layers that are here have come to.

    Attributes:
        layers: How many.
        compressed: Bytes of their blobs.
        unpacked: Bytes that their trees take on the disk.
        entries: What their tars held.
    """

    layers: int = 0
    compressed: int = 0
    unpacked: int = 0
    entries: int = 0


class Space(msgspec.Struct, frozen=True):
    """What a file system has left for us.

    Attributes:
        bytes: In bytes, without what is reserved for root.
        inodes: How many files more; None where that has no limit of its own.
    """

    bytes: int
    inodes: int | None = None


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What the layers of an image will take, beyond what they do.

    Attributes:
        to_fetch: Bytes that have to cross the network: exact.
        least: Bytes that have to be free: certain.
        likely: Bytes that will be needed at the peak: an estimate.
        unpacked: Bytes of the trees in the end: an estimate.
        least_inodes: Inodes that have to be free: certain.
        likely_inodes: Inodes that will be needed: an estimate.
        basis: Where the estimates come from.
    """

    to_fetch: int
    least: int
    likely: int
    unpacked: int
    least_inodes: int
    likely_inodes: int
    basis: str


class Fit(Enum):
    """Whether it fits."""

    LIKELY = auto()
    DOUBTFUL = auto()
    IMPOSSIBLE = auto()


def forecast(layers: Sequence[Incoming], experience: Experience, *, at_once: int) -> Forecast:
    """Return what layers will take.

    Args:
        layers: Those that are to come, each blob once.
        experience: What others have come to.
        at_once: How many are fetched and unpacked at the same time.
    """
    known = experience.compressed >= _EXPERIENCE_BYTES
    ratio = experience.unpacked / experience.compressed if known else USUAL_RATIO
    density = experience.entries / experience.compressed if known else USUAL_ENTRIES
    source = f"as the {counted(experience.layers, 'layer')} here" if known else "as usual images"
    unpacked = [round(layer.size * (ratio if layer.is_compressed else 1)) for layer in layers]
    beside = sorted((layer.size for layer in layers), reverse=True)[:at_once]
    return Forecast(
        to_fetch=sum(layer.size - layer.held for layer in layers),
        least=least_peak((layer.size, layer.held, round(layer.size * LEAST_RATIO)) for layer in layers),
        likely=sum(unpacked) - sum(layer.held for layer in layers) + sum(beside),
        unpacked=sum(unpacked),
        least_inodes=_INODES_OF_A_LAYER if layers else 0,
        likely_inodes=sum(_INODES_OF_A_LAYER + round(layer.size * density) for layer in layers),
        basis=f"{ratio:.1f} x compressed, {source}",
    )


def least_peak(layers: Iterable[tuple[int, int, int]]) -> int:
    """Return how many bytes have to be free for layers (size, held, unpacked) that come one after the other.

    It is the least that any order can do with: first what gives room back, the one that needs least before the others;
    then the largest blobs, so that the last one that lies beside its tree is small.
    """
    peak = used = 0
    for size, held, unpacked in sorted(layers, key=_place_in_the_best_order):
        peak = max(peak, used + size - held + unpacked)
        used += unpacked - held
    return peak


def _place_in_the_best_order(layer: tuple[int, int, int]) -> tuple[bool, int]:
    size, held, unpacked = layer
    return (True, -size) if unpacked > held else (False, size - held + unpacked)


def fit(needs: Forecast, space: Space) -> Fit:
    """Tell whether there is room."""
    inodes = space.inodes
    if needs.least > space.bytes or (inodes is not None and needs.least_inodes > inodes):
        return Fit.IMPOSSIBLE
    if needs.likely > space.bytes or (inodes is not None and needs.likely_inodes > inodes):
        return Fit.DOUBTFUL
    return Fit.LIKELY
