"""How large images' layers are, and how much of them is shared, as Docker counts (moby-behaviour 1.4, 6.3).

Rule: sizes are Docker's (`LayerReport.size`), not blocks on disk; for those see `interfaces.usage`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from headway.errors import StoreCorruptError
from headway.oci.digest import ChainID
from headway.records import ChainSize
from headway.service.stores import Records

Sizes = Mapping[ChainID, ChainSize]


def chain_of(top: ChainID | None, sizes: Sizes) -> Iterator[ChainID]:
    """Yield a chain and all below it, top first.

    Raises:
        StoreCorruptError: One of them is not there.
    """
    while top is not None:
        if top not in sizes:
            raise StoreCorruptError(f"layer {top} was not found (corruption?)")
        yield top
        top = sizes[top].parent


def shared_sizes(tops: Sequence[ChainID | None], sizes: Sizes) -> list[int]:
    """Return, for each of some images, how many bytes of its layers another of them has, too.

    Raises:
        StoreCorruptError: A layer is not there.
    """
    chains = [tuple(chain_of(top, sizes)) for top in tops]
    uses = Counter(chain_id for chain in chains for chain_id in chain)
    return [sum(sizes[chain_id].size for chain_id in chain if uses[chain_id] > 1) for chain in chains]


def layer_disk_usage(records: Records) -> int:
    """Return the total size of all layers of images, each counted once: Moby's ``LayerDiskUsage``.

    Images without a name that are only parents of others do not count, nor do layers that only containers use.
    """
    named = {image_id for _, image_id in records.references.list()}
    parents = records.images.parents()
    sizes = records.layers.sizes()
    used: set[ChainID] = set()
    for record in records.images.list():
        chain_id = record.chain_id if record.image_id in named or record.image_id not in parents else None
        while chain_id is not None and chain_id in sizes and chain_id not in used:
            used.add(chain_id)
            chain_id = sizes[chain_id].parent
    return sum(sizes[chain_id].size for chain_id in used)
