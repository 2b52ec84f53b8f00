"""Transfers of layers over a registry in memory: what is left when they are stopped at a bad moment."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from headway.distribution.endpoints import Endpoint
from headway.errors import NotFoundError
from headway.interfaces.files import Applier, TarSource
from headway.oci.descriptor import Descriptor
from headway.oci.digest import DiffID, Digest
from headway.records import LayerReport
from headway.service.companions import Companions
from headway.service.slots import Slots
from headway.service.stores import Stores
from headway.service.tools import Source, TransferTools
from headway.service.transfer import Transfers
from tests.contract.test_receiver import tools
from tests.fakes import images
from tests.fakes.simulated_registry import SimulatedRegistry
from tests.fakes.stores import memory_stores

IMAGE = images.image([images.noise_layer(5_000_000, seed=1)])  # its hash has a thread of its own
BLOB = Digest(IMAGE.layers[0])
LAYER = Descriptor(media_type="", digest=BLOB, size=len(IMAGE.blobs[BLOB]))
DIFF_ID = DiffID(Digest(IMAGE.diff_ids[0]))
HERE = Source(Endpoint("registry.test"), "test/image")


class SlowToEnd:
    """An applier that takes its time to end once it is stopped.

    Attributes:
        ends: Set when it may.
    """

    def __init__(self) -> None:
        self.ends = threading.Event()
        self.is_stopped = threading.Event()

    def __call__(
        self, source: TarSource, directory: Path, progress: Callable[[int], None]
    ) -> tuple[DiffID, LayerReport]:
        try:
            while source.read(1 << 20):
                pass
        except InterruptedError:
            self.is_stopped.set()
            self.ends.wait(10)
            raise
        raise AssertionError


@dataclass(frozen=True)
class Scene:
    """Transfers, and what they work with."""

    transfers: Transfers
    tools: TransferTools
    stores: Stores

    async def bring(self) -> None:
        await self.transfers.layer(DIFF_ID, LAYER, [HERE], "test/image", lambda _: None, Companions())


@asynccontextmanager
async def scene(directory: Path, applier: Applier, registry: SimulatedRegistry) -> AsyncIterator[Scene]:
    stores, work = memory_stores(directory), msgspec.structs.replace(tools(time.monotonic), registry=registry)
    async with asyncio.TaskGroup() as group:
        transfers = Transfers(work, stores, applier=applier, slots=Slots(3), group=group)
        yield Scene(transfers, work, stores)


async def test_a_layer_that_fails_and_is_cancelled_while_it_ends_can_be_asked_for_again(tmp_path: Path) -> None:
    applier = SlowToEnd()
    async with scene(tmp_path, applier, SimulatedRegistry()) as here:
        async with asyncio.TaskGroup() as group:
            bringing = group.create_task(here.bring())
            await asyncio.to_thread(applier.is_stopped.wait, 10)
            bringing.cancel()
        applier.ends.set()

        with pytest.raises(NotFoundError):  # and not that its ingest is open
            await here.bring()
    for thread in threading.enumerate():
        if thread.name in {"hash", "unpack"}:
            thread.join(10)
            assert not thread.is_alive()
