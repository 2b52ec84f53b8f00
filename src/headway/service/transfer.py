"""Transfers that are shared by all who wait for them: layers by diff ID, other blobs by digest.

Rule 1: a layer is committed when its blob's digest and its tar's digest are both right, and not before.
Rule 2: its ingest goes when its record is there; before, only where a kill cannot cost the layer any more and a power
        cut would have taken all of the ingest anyway (ADR 0024).
Rule 3: a pair (diff ID, blob digest) is recorded only where both were computed over the same bytes: here, and where an
        archive is loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import Future as Verdict
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec

from headway.errors import ConflictError, DigestMismatchError
from headway.interfaces.content import Follower, Ingest
from headway.interfaces.files import Applier
from headway.oci.descriptor import Descriptor
from headway.oci.digest import DiffID, Digest
from headway.oci.media_types import has_wide_window
from headway.records import LayerBlob, LayerReport
from headway.service.blob_transfer import BlobTransfer, Cost
from headway.service.own_limits import own_limits
from headway.service.progress import LayerProgress, Phase
from headway.service.single_flight import SingleFlight
from headway.service.slots import Slots
from headway.service.stores import Stores
from headway.service.sync_group import SyncGroup, SyncMember
from headway.service.tools import Source, TransferTools
from headway.service.unpack_places import PoliteSource, is_fetched_alone

Listener = Callable[[LayerProgress], None]

LAST_BYTES = 2 << 20
"""How many one that is fetched alone lacks when the next one may be asked for: the link is not idle meanwhile."""


class _Wanted(msgspec.Struct, frozen=True):
    """A layer to bring.

    Attributes:
        diff_id: The layer.
        descriptor: The blob that should hold it.
        repository: The repository that has it, spelled out.
        member: Its place among what its pull needs.
    """

    diff_id: DiffID
    descriptor: Descriptor
    repository: str
    member: SyncMember


class Transfers:
    """Brings layers and blobs into the stores, each once however many wait for it.

    Args:
        tools: What transfers work with.
        stores: Where they put things.
        applier: Unpacks a layer.
        slots: How many downloads run at once.
        group: Owns the transfers.
        retain: Whether layers' blobs are kept as blobs once their trees are committed.
    """

    def __init__(
        self,
        tools: TransferTools,
        stores: Stores,
        *,
        applier: Applier,
        slots: Slots,
        group: asyncio.TaskGroup,
        retain: bool = False,
    ) -> None:
        self._tools = tools
        self._ingests = stores.ingests
        self._blobs = stores.blobs
        self._layers = stores.layers
        self._metadata = stores.metadata
        self._applier = applier
        self._slots = slots
        self._retain = retain
        self._layer_flights: SingleFlight[Cost, LayerProgress] = SingleFlight(group)
        self._blob_flights: SingleFlight[Cost, LayerProgress] = SingleFlight(group)
        self._whole: set[DiffID] = set()  # trees that a kill leaves to be committed, until they are
        self._turns: WeakValueDictionary[Digest, asyncio.Lock] = WeakValueDictionary()

    @property
    def running(self) -> int:
        """How many layers are being received now."""
        return self._slots.running

    def is_whole(self, diff_id: DiffID) -> bool:
        """Tell whether a layer is whole, unpacked and kept, and only not committed yet."""
        return diff_id in self._whole

    async def layer(
        self,
        diff_id: DiffID,
        descriptor: Descriptor,
        sources: Sequence[Source],
        repository: str,
        listener: Listener,
        sync_group: SyncGroup,
    ) -> Cost:
        """Bring the layer with `diff_id` into the layer store; nothing happens where it is there already.

        Args:
            diff_id: The layer.
            descriptor: The blob that should hold it.
            sources: Where to ask for the blob.
            repository: The repository that has it, spelled out, whichever mirror gives it.
            listener: Told the progress.
            sync_group: Layers that the caller needs as well.

        Raises:
            HeadwayError: It could not be brought; what arrived is kept.
        """

        async def bring(report: Listener) -> Cost:
            with sync_group.coming() as member:
                return await self._bring_layer(_Wanted(diff_id, descriptor, repository, member), sources, report)

        def tell(progress: LayerProgress) -> None:
            listener(_of(descriptor, progress))

        way = descriptor.digest, tuple(sources)
        cost, begins = await self._layer_flights.join(diff_id, bring, tell, way=way)
        return _charged(cost, begins=begins)

    async def blob(self, descriptor: Descriptor, sources: Sequence[Source], listener: Listener) -> Cost:
        """Bring a blob into the blob store; nothing happens where it is there already.

        Raises:
            HeadwayError: It could not be brought; what arrived is kept.
        """

        async def bring(report: Listener) -> Cost:
            return await self._bring_blob(descriptor, sources, report)

        cost, begins = await self._blob_flights.join(descriptor.digest, bring, listener, way=tuple(sources))
        return _charged(cost, begins=begins)

    async def _bring_blob(self, descriptor: Descriptor, sources: Sequence[Source], report: Listener) -> Cost:
        disk = self._tools.executors.disk
        if await disk(self._blobs.size, descriptor.digest) is not None:
            await disk(self._sweep, descriptor.digest)
            return Cost()
        async with self._opened(descriptor, sources, report) as (transfer, ingest):
            await transfer.run()
            await transfer.close()
            await disk(ingest.commit)
            return transfer.cost()

    async def _bring_layer(self, wanted: _Wanted, sources: Sequence[Source], report: Listener) -> Cost:
        disk, descriptor = self._tools.executors.disk, wanted.descriptor
        if await self._tools.executors.database(self._layers.has_tree, wanted.diff_id):
            await disk(self._sweep, descriptor.digest)
            report(_still(descriptor, Phase.HERE, descriptor.size))
            return Cost()
        report(_still(descriptor, Phase.WAITING, await disk(self._ingests.held, descriptor.digest)))

        def tell(progress: LayerProgress) -> None:
            for each in (slot, turn):
                each.waits(is_waiting=progress.phase is Phase.RETRYING and progress.retry_seconds >= 1)
            if progress.size - progress.held <= LAST_BYTES:
                turn.release()
            self._slots.look_again()  # what this layer has shown of the link may let others in
            report(progress)

        own = own_limits()
        is_alone = is_fetched_alone(descriptor.size, is_wide=has_wide_window(descriptor.media_type))
        turns = own.wide if is_alone else Slots(1)
        async with (
            own.slots.slot() as own_slot,
            turns.slot(descriptor.digest) as turn,
            self._slots.slot(sources[-1].endpoint.host) as slot,
            self._opened(descriptor, sources, tell) as (transfer, ingest),
        ):
            unpacking = transfer.consume(partial(self._unpack, wanted, transfer, ingest), "unpack")
            try:
                await transfer.run()
            finally:
                for each in (slot, own_slot, turn):
                    each.release()  # what follows needs no network, the end of what is stopped neither
            transfer.report(Phase.UNPACKING)
            await transfer.outlast(unpacking)
            await disk(ingest.commit if self._retain else ingest.discard)
            report(_still(descriptor, Phase.DONE, descriptor.size))
            return transfer.cost()

    def _sweep(self, digest: Digest) -> None:
        """Remove the ingest of what is committed: a kill behind the commit has left it, or it came another way."""
        with suppress(ConflictError):  # another layer is just arriving in the same blob
            self._ingests.discard(digest)

    @asynccontextmanager
    async def _opened(
        self, descriptor: Descriptor, sources: Sequence[Source], report: Listener
    ) -> AsyncIterator[tuple[BlobTransfer, Ingest]]:
        to_the_end = self._tools.executors.disk_to_the_end
        # Two images may call one blob by different diff IDs: whichever is wrong must not make the other fail.
        async with self._turns.setdefault(descriptor.digest, asyncio.Lock()):
            ingest = await to_the_end(self._ingests.open, descriptor.digest, descriptor.size)
            try:
                healthy = self._tools.standing.health.ordered
                sources = healthy(sources, "blob", host_of=lambda source: source.endpoint.host, now=self._tools.clock())
                transfer = BlobTransfer(self._tools, sources, descriptor, ingest, report)
                try:
                    yield transfer, ingest
                finally:
                    await transfer.close()
            finally:  # a cancellation may come while that ends: one that stayed open could not be opened again
                await to_the_end(ingest.close)

    def _unpack(
        self, wanted: _Wanted, transfer: BlobTransfer, ingest: Ingest, follower: Follower, verdict: Verdict[None]
    ) -> None:
        """Unpack while the blob arrives, and commit what is known to be right then; runs in a thread of its own."""
        diff_id, layer = wanted.diff_id, wanted.descriptor
        with self._layers.new_tree() as directory:
            places, is_wide = self._tools.executors.unpack_places, has_wide_window(layer.media_type)
            with PoliteSource(follower, places, layer.size, is_wide=is_wide) as source:
                actual, report = self._applier(source, directory, transfer.unpacked_to)
            try:
                verdict.result()
            except CancelledError:
                raise InterruptedError from None
            if actual != diff_id:
                raise DigestMismatchError("the layer's tar", diff_id, actual)
            transfer.committing()
            seconds = transfer.sync_due_in()
            with self._kept(diff_id, directory, report) as is_kept:
                if is_kept and not self._retain:
                    ingest.discard_unless_synced()
                wanted.member.wait(seconds)
                self._layers.commit_tree(diff_id, directory, report)
        self._metadata.remember(diff_id, LayerBlob(layer.digest, wanted.repository))

    @contextmanager
    def _kept(self, diff_id: DiffID, directory: Path, report: LayerReport) -> Iterator[bool]:
        """Have a whole tree survive a kill until it is committed, and give whether it does."""
        is_kept = self._layers.keep_tree(diff_id, directory, report)
        if is_kept:
            self._whole.add(diff_id)
        try:
            yield is_kept
        finally:
            self._whole.discard(diff_id)


def _charged(cost: Cost, *, begins: bool) -> Cost:
    """Return what a transfer costs one who waits for it: who began it is charged for what crossed, and nobody else."""
    return cost if begins else Cost(kept=cost.kept)


def _of(descriptor: Descriptor, progress: LayerProgress) -> LayerProgress:
    """Return progress as that of a blob: somebody else may be bringing the same layer in another one."""
    if progress.digest == descriptor.digest:
        return progress
    held = descriptor.size * progress.held // max(1, progress.size)
    return msgspec.structs.replace(progress, digest=descriptor.digest, size=descriptor.size, held=held)


def _still(descriptor: Descriptor, phase: Phase, held: int) -> LayerProgress:
    return LayerProgress(descriptor.digest, phase, held=held, size=descriptor.size)
