"""What layers amount to as Docker counts them (moby-behaviour 1.4); what the disk says is `interfaces.usage`."""

from __future__ import annotations

from headway.oci.digest import ChainID
from headway.service.stores import Records


def layer_disk_usage(records: Records) -> int:
    """Return the sum of the sizes of all layers that images have, each once: Moby's ``LayerDiskUsage``.

    Left out are images that have no name and are only parents of others, and layers that only containers hold.
    """
    named = {image_id for _, image_id in records.references.list()}
    parents = records.images.parents()
    sizes = records.layers.sizes()
    total = 0
    seen: set[ChainID] = set()
    for record in records.images.list():
        chain_id = record.chain_id
        if record.image_id in parents and record.image_id not in named:
            continue
        while chain_id is not None and chain_id in sizes and chain_id not in seen:
            seen.add(chain_id)
            total += sizes[chain_id].size
            chain_id = sizes[chain_id].parent
    return total
