"""Decides whether an image fits on the disk: for certain, or probably. No I/O.

Rule 1: only an image that certainly cannot fit is refused; an estimate leads to a warning and never to a refusal.
Rule 2: until a layer is committed it takes room twice, as the blob that arrives and as its tree; then the blob is
        removed. Bytes of the blob that are held already take no more room.
Rule 3: the last blob and its whole tree exist at the same time, whatever the order: that is the peak.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto

import msgspec

from headway.units import counted

LEAST_RATIO = 0.5
"""A lower bound of unpacked to compressed size: gzip and zstd add 0.1 % at most to what they cannot compress, and a
file system that compresses saves no more than they did. Half leaves room for exceptions."""

USUAL_RATIO = 3.0
"""Bytes on disk per compressed byte of common images: 2.2 (alpine) to 3.2 (python) with clusters of 4 KiB."""

USUAL_ENTRIES = 250 / 1_000_000
"""Files, directories and links per compressed byte of common images."""

_EXPERIENCE_BYTES = 1_000_000  # fewer compressed bytes than this are no basis for an estimate
_INODES_OF_A_LAYER = 4  # the ingest's directory and its two files, and the root of the tree


class Incoming(msgspec.Struct, frozen=True):
    """A layer that is still to be fetched, or to be unpacked.

    Attributes:
        size: Size of its blob, in bytes.
        held: How many bytes of the blob are held already.
        is_compressed: Whether its media type says that it is compressed.
    """

    size: int
    held: int = 0
    is_compressed: bool = True


class Experience(msgspec.Struct, frozen=True):
    """Sums over the compressed layers that this store has unpacked before.

    Attributes:
        layers: How many there are.
        compressed: Bytes of their blobs.
        unpacked: Bytes that their trees take on the disk.
        entries: Entries of their tars.
    """

    layers: int = 0
    compressed: int = 0
    unpacked: int = 0
    entries: int = 0


class Space(msgspec.Struct, frozen=True):
    """Free space of a file system.

    Attributes:
        bytes: Free bytes, without those reserved for root.
        inodes: Free inodes; None where the file system has no limit on them.
    """

    bytes: int
    inodes: int | None = None


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """The additional room that the layers of an image will take.

    Attributes:
        to_fetch: Bytes to fetch; exact.
        least: Bytes that certainly have to be free.
        likely: Bytes that will probably be needed at the peak; an estimate.
        unpacked: Bytes of the trees at the end; an estimate.
        least_inodes: Inodes that certainly have to be free.
        likely_inodes: Inodes that will probably be needed; an estimate.
        basis: Basis of the estimates, in words.
    """

    to_fetch: int
    least: int
    likely: int
    unpacked: int
    least_inodes: int
    likely_inodes: int
    basis: str


class Fit(Enum):
    """Whether an image fits on the disk."""

    LIKELY = auto()
    DOUBTFUL = auto()
    IMPOSSIBLE = auto()


def forecast(layers: Sequence[Incoming], experience: Experience, *, at_once: int) -> Forecast:
    """Return how much room layers will take.

    Args:
        layers: The layers to fetch or unpack, each blob once.
        experience: Sums over the layers that are here.
        at_once: How many layers are fetched and unpacked at the same time.
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
    """Return how many bytes have to be free for layers (size, held, unpacked) that are unpacked one after the other.

    This is the minimum over all orders. In the best one, layers whose tree is no larger than what is held come first,
    by ascending need, as they free room; then come the others by descending size, so that the last blob, which lies
    beside its tree when all other trees are there, is small.
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
    """Compare a forecast with the free space."""
    inodes = space.inodes
    if needs.least > space.bytes or (inodes is not None and needs.least_inodes > inodes):
        return Fit.IMPOSSIBLE
    if needs.likely > space.bytes or (inodes is not None and needs.likely_inodes > inodes):
        return Fit.DOUBTFUL
    return Fit.LIKELY
