"""Which blobs a registry may already have of a layer, and how many requests are worth asking (moby-behaviour 2.7).

Rule 1: the larger a layer, the more requests it is worth.
Rule 2: the blob that the image came with is asked for first: with it, the image keeps its digest.
Rule 3: only blobs that were seen to hold the layer count (`DistributionMetadata`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from headway.interfaces.registries import Mount
from headway.oci.digest import Digest
from headway.records import LayerBlob


class Effort(msgspec.Struct, frozen=True):
    """How many requests a layer is worth before it is sent.

    Attributes:
        mounts: How many mounts from other repositories to try.
        checks: How many blobs, beyond the first, to ask for.
        foreign: Whether to ask for blobs that were only seen in other repositories.
        made: Whether to ask for the packed blob as well, before sending it: a machine that packs as we do, or we
            ourselves with another store, may have pushed the same bytes.
    """

    mounts: int
    checks: int
    foreign: bool
    made: bool


def effort_for(size: int) -> Effort:
    """Return the effort for a layer of `size` bytes, uncompressed."""
    if size > 10 << 20:
        return Effort(mounts=4, checks=3, foreign=True, made=True)
    if size > 100 << 10:
        return Effort(mounts=3, checks=1, foreign=False, made=True)
    return Effort(mounts=1, checks=1, foreign=False, made=False)


def to_check(blobs: Sequence[LayerBlob], repository: str, own: Digest | None) -> list[Digest]:
    """Return the blobs that may be in a repository, the most likely first.

    Args:
        blobs: Those that hold the layer, newest first.
        repository: Full spelling of the repository that is pushed to.
        own: The blob that the image came with; None where it is not known.
    """
    ranked = sorted(blobs, key=lambda blob: (blob.repository != repository, blob.digest != own))
    return list(dict.fromkeys(blob.digest for blob in ranked))


def is_seen_in(blobs: Sequence[LayerBlob], digest: Digest, repository: str) -> bool:
    """Tell whether a blob was seen in a repository."""
    return LayerBlob(digest, repository) in blobs


def to_mount(blobs: Sequence[LayerBlob], repository: str, own: Digest | None) -> list[Mount]:
    """Return the blobs to mount from other repositories of the same registry, most likely first; see `to_check`."""
    domain = repository.partition("/")[0]
    others = [b for b in blobs if b.repository != repository and b.repository.partition("/")[0] == domain]
    ranked = sorted(others, key=lambda blob: (blob.digest != own, -_common(blob.repository, repository)))
    return [Mount(blob.digest, blob.repository.partition("/")[2]) for blob in ranked]


def _common(one: str, other: str) -> int:
    """Return how many leading components two repositories share."""
    count = 0
    for left, right in zip(one.split("/"), other.split("/"), strict=False):
        if left != right:
            break
        count += 1
    return count
