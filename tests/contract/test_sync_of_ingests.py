"""When what has arrived is made to survive a power cut."""

from __future__ import annotations

import time
from concurrent.futures import Future

from headway.distribution.backoff import RetryPolicy
from headway.distribution.standing import Standing
from headway.interfaces.content import Follower
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.service.concurrency.executors import Executors
from headway.service.transfers.blob_transfer import BlobTransfer
from headway.service.transfers.tools import TransferTools
from tests.fakes.memory import MemoryBlobStore, MemoryIngestStore
from tests.fakes.simulated_registry import SimulatedRegistry

BLOB = bytes(1000)


async def test_a_layer_that_unpacks_for_long_is_synced_meanwhile() -> None:
    ingest = MemoryIngestStore(MemoryBlobStore()).open(Digest.of(BLOB), len(BLOB))
    executors = Executors()
    tools = TransferTools(
        registry=SimulatedRegistry(),
        executors=executors,
        standing=Standing(),
        policy=RetryPolicy,
        clock=lambda: time.monotonic() * 100,
        jitter=lambda: 0.0,
    )
    transfer = BlobTransfer(
        tools, [], Descriptor(media_type="", digest=ingest.digest, size=len(BLOB)), ingest, lambda _: None
    )
    ingest.write_at(0, BLOB)

    def unpack(_: Follower, __: Future[None]) -> bool:
        deadline = time.monotonic() + 10
        while ingest.unsynced() and time.monotonic() < deadline:
            time.sleep(0.001)
        return ingest.unsynced() == 0

    synced = await transfer.outlast(transfer.consume(unpack, "unpack"))
    await transfer.close()
    executors.close()

    assert synced
