"""Transfers of layers over a registry in memory: what is left when they are stopped at a bad moment."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from headway.distribution.endpoints import Endpoint
from headway.errors import DigestMismatchError, NotFoundError, ThrottledError
from headway.interfaces.files import Applier, TarSource
from headway.layers.unpacking.applier import apply_layer
from headway.oci.descriptor import Descriptor
from headway.oci.digest import DiffID, Digest
from headway.oci.media_types import OCI_LAYER_GZIP as GZIP
from headway.oci.media_types import OCI_LAYER_ZSTD as ZSTD
from headway.records import LayerReport
from headway.service.concurrency import unpack_places
from headway.service.concurrency.slots import Slots
from headway.service.limits.own_limits import OwnLimits, keeping_to
from headway.service.limits.shared_rate import SharedRate
from headway.service.stores import Stores
from headway.service.transfers.blob_transfer import Cost
from headway.service.transfers.progress import LayerProgress, Phase
from headway.service.transfers.sync_group import SyncGroup
from headway.service.transfers.tools import Source, TransferTools
from headway.service.transfers.transfer import Transfers
from tests.contract.test_receiver import tools
from tests.fakes import images
from tests.fakes.simulated_registry import Asked, SimulatedBlob, SimulatedRegistry
from tests.fakes.stores import memory_stores
from tests.faults.story import Fault, FlipByte, Status

IMAGE = images.image([images.noise_layer(5_000_000, seed=1)])  # its hash has a thread of its own
SMALL = images.image([images.noise_layer(500_000, seed=2)])
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

    async def bring(
        self,
        image: images.Image = IMAGE,
        diff_id: str = "",
        listener: Callable[[LayerProgress], None] = lambda _: None,
        *,
        media_type: str = "",
    ) -> Cost:
        """Bring an image's only layer, by its own diff ID or by what a config says that it is; return its cost."""
        layer = Descriptor(
            media_type=media_type, digest=Digest(image.layers[0]), size=len(image.blobs[image.layers[0]])
        )
        name = DiffID(Digest(diff_id or image.diff_ids[0]))
        return await self.transfers.layer(name, layer, [HERE], "test/image", listener, SyncGroup())


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


async def test_who_leaves_a_layer_is_told_of_all_that_has_arrived(tmp_path: Path) -> None:
    heard: list[LayerProgress] = []
    arrives = asyncio.Event()

    def hear(progress: LayerProgress) -> None:
        heard.append(progress)
        if progress.held:
            arrives.set()

    registry = SimulatedRegistry([IMAGE])
    with keeping_to(OwnLimits(rate=SharedRate(2_000_000))):
        async with scene(tmp_path, apply_layer, registry) as here, asyncio.TaskGroup() as group:
            bringing = group.create_task(here.bring(listener=hear))
            await arrives.wait()
            await asyncio.sleep(0.15)  # some more, of which nothing is told yet
            bringing.cancel()

    assert 0 < heard[-1].held == here.stores.ingests.held(Digest(IMAGE.layers[0])) < 5_000_000


async def test_a_group_that_is_cancelled_waits_for_what_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layer is whole there, its blob is gone, and the database is about to be closed."""
    commits, ends = threading.Event(), threading.Event()
    story: list[str] = []

    async def command() -> None:
        try:
            async with scene(tmp_path, apply_layer, SimulatedRegistry([SMALL])) as here:
                commit = here.stores.layers.commit_tree

                def late(diff_id: DiffID, path: Path, report: LayerReport) -> None:
                    commits.set()
                    ends.wait(10)
                    commit(diff_id, path, report)
                    story.append("committed")

                monkeypatch.setattr(here.stores.layers, "commit_tree", late)
                with suppress(asyncio.CancelledError):
                    await here.bring(SMALL)
                await asyncio.sleep(0.05)
                raise asyncio.CancelledError  # once more, with the group
        finally:
            story.append("left")

    async with asyncio.TaskGroup() as group:
        running = group.create_task(command())
        await asyncio.to_thread(commits.wait, 10)
        running.cancel()
        asyncio.get_running_loop().call_later(0.2, ends.set)

    assert story == ["committed", "left"]


async def test_a_group_that_is_cancelled_does_not_wait_for_what_unpacks(tmp_path: Path) -> None:
    """What has been expanded is worked off first, in thousands of files; the blob is there still."""
    applier = SlowToEnd()

    async def command() -> None:
        async with scene(tmp_path, applier, SimulatedRegistry()) as here:
            await here.bring()

    async with asyncio.TaskGroup() as group:
        running = group.create_task(command())
        await asyncio.to_thread(applier.is_stopped.wait, 10)
        running.cancel()
        await asyncio.wait({running}, timeout=3)
        is_over = running.done()
        applier.ends.set()

    assert is_over


class HeldRegistry(SimulatedRegistry):
    """A registry that lets no blob go before it is told to.

    Attributes:
        begun: The blobs that were asked for.
        goes_on: Set when they may come.
    """

    def __init__(self, given: list[images.Image]) -> None:
        super().__init__(given)
        self.begun: list[str] = []
        self.goes_on = threading.Event()

    def blob(self, endpoint: Endpoint, repository: str, descriptor: Descriptor, offset: int, end: int) -> HeldBlob:
        asked = Asked("blob", "GET", endpoint.host, repository, descriptor.digest, offset, end)
        return HeldBlob(self, asked, end, self)


class HeldBlob(SimulatedBlob):
    def __init__(self, registry: SimulatedRegistry, asked: Asked, end: int, held: HeldRegistry) -> None:
        super().__init__(registry, asked, end)
        self._held = held

    def open(self) -> int:
        self._held.begun.append(self._asked.digest)
        self._held.goes_on.wait(10)
        return super().open()


@pytest.mark.parametrize(("places", "most"), [(1, 1), (3, 2)])
async def test_a_pull_that_keeps_to_a_rate_takes_no_more_places_than_it_may(
    tmp_path: Path, places: int, most: int
) -> None:
    registry = HeldRegistry([IMAGE, SMALL])
    async with scene(tmp_path, apply_layer, registry) as here:
        with keeping_to(OwnLimits(slots=Slots(places))):
            async with asyncio.TaskGroup() as group:
                for image in (IMAGE, SMALL):
                    group.create_task(here.bring(image))
                await asyncio.sleep(0.3)
                at_once = len(registry.begun)
                registry.goes_on.set()

    assert (at_once, len(registry.begun)) == (most, 2)


@pytest.mark.parametrize(("media_type", "pulls", "most"), [(ZSTD, 1, 1), (ZSTD, 2, 2), (GZIP, 1, 2)])
async def test_of_one_pulls_large_zstd_layers_one_comes_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, media_type: str, pulls: int, most: int
) -> None:
    monkeypatch.setattr(unpack_places, "FETCHED_ALONE", 1 << 20)
    large = [images.image([images.noise_layer(5_000_000, seed=seed)]) for seed in (3, 4)]
    registry = HeldRegistry([*large, SMALL])
    limits = [OwnLimits() for _ in range(pulls)]
    async with scene(tmp_path, apply_layer, registry) as here, asyncio.TaskGroup() as group:
        for number, image in enumerate([*large, SMALL]):
            with keeping_to(limits[number % pulls]):
                group.create_task(here.bring(image, media_type=media_type))
        await asyncio.sleep(0.3)
        at_once = set(registry.begun)
        registry.goes_on.set()

    assert len(at_once & {each.layers[0] for each in large}) == most
    assert SMALL.layers[0] in at_once
    assert len(registry.begun) == 3


async def test_an_image_that_calls_a_layer_by_a_wrong_name_does_not_keep_others_from_it(tmp_path: Path) -> None:
    wrong = Digest.of(b"something else")
    async with scene(tmp_path, apply_layer, SimulatedRegistry([SMALL])) as here:
        outcomes = await asyncio.gather(here.bring(SMALL, wrong), here.bring(SMALL), return_exceptions=True)

        assert here.stores.layers.has_tree(DiffID(Digest(SMALL.diff_ids[0])))
    assert [type(outcome) for outcome in outcomes] == [DigestMismatchError, Cost]


async def test_a_layer_that_two_share_is_charged_to_the_one_that_began_it(tmp_path: Path) -> None:
    async with scene(tmp_path, apply_layer, SimulatedRegistry([SMALL])) as here:
        first, second = await asyncio.gather(here.bring(SMALL), here.bring(SMALL))

    assert first.received >= len(SMALL.blobs[SMALL.layers[0]])
    assert second == Cost()


async def test_who_shares_a_layer_that_comes_in_another_blob_is_told_of_his_own(tmp_path: Path) -> None:
    other = images.image([images.noise_layer(500_000, seed=2)], compression="none")
    told: list[LayerProgress] = []
    async with scene(tmp_path, apply_layer, SimulatedRegistry([SMALL, other])) as here:
        await asyncio.gather(here.bring(SMALL), here.bring(other, listener=told.append))

    assert {each.digest for each in told} == {other.layers[0]}
    assert (told[-1].phase, told[-1].held) == (Phase.DONE, len(other.blobs[other.layers[0]]))


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(each.levelname, each.message) for each in caplog.records]


@pytest.mark.parametrize("image", [IMAGE, SMALL], ids=["hashed beside", "hashed when whole"])
async def test_a_wrong_byte_is_fetched_again_and_that_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, image: images.Image
) -> None:
    caplog.set_level("INFO", "headway.service.transfers.blob_transfer")
    size = len(image.blobs[image.layers[0]])
    registry = SimulatedRegistry([image], faults=[Fault(FlipByte(size // 2), kind="blob", nth=1)])
    async with scene(tmp_path, apply_layer, registry) as here:
        await here.bring(image)

        assert here.stores.layers.has_tree(DiffID(Digest(image.diff_ids[0])))
    (line,) = logged(caplog)
    assert line[0] == "INFO"
    assert line[1].startswith("Download failed, retrying (1/5): the blob")


async def test_a_wait_that_is_too_long_to_be_begun_is_logged_as_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "headway.service.transfers.blob_transfer")
    registry = SimulatedRegistry([SMALL], faults=[Fault(Status(429, {"Retry-After": "20000"}), kind="blob")])
    async with scene(tmp_path, apply_layer, registry) as here:
        with pytest.raises(ThrottledError) as raised:
            await here.bring(SMALL)

    assert logged(caplog) == [("ERROR", f"Download failed after 1 attempts: {raised.value}")]
