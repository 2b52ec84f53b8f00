"""All stores of one data root, in memory; only files of layers are on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headway.layers.trees.derive import derive_tree
from headway.oci.digest import ChainID
from headway.service.events.events import Events
from headway.service.stores import Stores
from tests.fakes.containers import MemoryContainerStore, MemoryMountTable
from tests.fakes.distribution import MemoryDistributionMetadata
from tests.fakes.events import MemoryEventLog
from tests.fakes.memory import (
    MemoryBlobStore,
    MemoryHosts,
    MemoryImageStore,
    MemoryIngestStore,
    MemoryLayerStore,
    MemoryReferenceStore,
)
from tests.fakes.memory_garbage import MemoryGarbage, MemoryLeases
from tests.fakes.pulls import MemoryPullStore
from tests.fakes.rw_layers import CopyingDrivers, MemoryRwLayerStore
from tests.fakes.traffic import MemoryTraffic


def memory_stores(directory: Path) -> Stores:
    """Return empty stores; files of layers go below `directory`."""
    (directory / "trees").mkdir()
    blobs, images, mounts, log = MemoryBlobStore(), MemoryImageStore(), MemoryMountTable(), MemoryEventLog()
    ingests = MemoryIngestStore(blobs)
    layers = MemoryLayerStore(directory / "trees", derive=derive_tree)
    rw_layers = MemoryRwLayerStore(directory, layers)
    leases = MemoryLeases()

    def in_use() -> set[ChainID]:
        tops = {record.chain_id for record in rw_layers.list()} | {mount.chain_id for mount in mounts.list()}
        return {top for top in tops if top is not None}

    return Stores(
        blobs=blobs,
        layers=layers,
        images=images,
        references=MemoryReferenceStore(images),
        containers=MemoryContainerStore(),
        log=log,
        ingests=ingests,
        hosts=MemoryHosts(),
        rw_layers=rw_layers,
        drivers=CopyingDrivers(),
        leases=leases,
        garbage=MemoryGarbage(images, layers, blobs, ingests, leases, in_use),
        metadata=MemoryDistributionMetadata(),
        mounts=mounts,
        traffic=MemoryTraffic(),
        pulls=MemoryPullStore(),
        events=Events(log),
        transaction=no_transaction,
    )


@contextmanager
def no_transaction() -> Iterator[None]:
    """Stand in for `interfaces.Transaction`: in memory nothing is undone."""
    yield
