"""Transfers of layers (by diff ID) and other blobs (by digest), each shared by all pulls that wait for it.

Rule 1: a layer is committed only when the digests of its blob and of its tar have both been verified.
Rule 2: its ingest is removed once the layer is recorded; earlier only if a kill cannot cost the layer any more and a
        power cut would take all of the ingest anyway (ADR 0024).
Rule 3: a pair (diff ID, blob digest) is recorded only if both were computed over the same bytes: here, and when an
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
from headway.service.concurrency.single_flight import SingleFlight
from headway.service.concurrency.slots import Slots
from headway.service.concurrency.unpack_places import PoliteSource, is_fetched_alone
from headway.service.limits.own_limits import own_limits
from headway.service.stores import Stores
from headway.service.transfers.blob_transfer import BlobTransfer, Cost
from headway.service.transfers.progress import LayerProgress, Phase
from headway.service.transfers.sync_group import SyncGroup, SyncMember
from headway.service.transfers.tools import Source, TransferTools

Listener = Callable[[LayerProgress], None]

LAST_BYTES = 2 << 20
"""When a layer that is fetched alone lacks no more than this, the next one is requested, to keep the link busy."""


class _Wanted(msgspec.Struct, frozen=True):
    """A layer to fetch.

    Attributes:
        diff_id: The layer.
        descriptor: The blob that should hold it.
        repository: Full spelling of the repository that has it.
        member: Its place among the layers of its pull, for syncing them together.
    """

    diff_id: DiffID
    descriptor: Descriptor
    repository: str
    member: SyncMember


class Transfers:
    """Fetches layers and blobs into the stores, each once, however many pulls wait for it.

    Args:
        tools: What transfers need.
        stores: Where content is put.
        applier: Unpacks a layer.
        slots: Limits how many downloads run at once.
        group: Task group that the transfers run in.
        retain: Whether to keep layers' blobs after their trees are committed.
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
        self._whole: set[DiffID] = set()  # trees that would survive a kill (`LayerStore.keep_tree`), not yet committed
        self._turns: WeakValueDictionary[Digest, asyncio.Lock] = WeakValueDictionary()

    @property
    def running(self) -> int:
        """How many layers are being received now."""
        return self._slots.running

    def is_whole(self, diff_id: DiffID) -> bool:
        """Tell whether a layer is complete, unpacked and safe from a kill, but not yet committed."""
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
        """Fetch the layer with `diff_id` into the layer store; do nothing if it is there already.

        Args:
            diff_id: The layer.
            descriptor: The blob that should hold it.
            sources: Where to ask for the blob.
            repository: Full spelling of the repository that has it, whichever mirror serves it.
            listener: Called with progress.
            sync_group: The layers of the same pull, to be synced together.

        Raises:
            HeadwayError: It could not be fetched; what arrived is kept.
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
        """Fetch a blob into the blob store; do nothing if it is there already.

        Raises:
            HeadwayError: It could not be fetched; what arrived is kept.
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
            self._slots.look_again()  # what is known of the link may have changed, and let others in
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
                    each.release()  # the network is not needed any more, not even to stop
            transfer.report(Phase.UNPACKING)
            await transfer.outlast(unpacking)
            await disk(ingest.commit if self._retain else ingest.discard)
            report(_still(descriptor, Phase.DONE, descriptor.size))
            return transfer.cost()

    def _sweep(self, digest: Digest) -> None:
        """Remove the ingest of committed content, left by a kill after the commit, or made obsolete by another way."""
        with suppress(ConflictError):  # it is open: the same blob is being fetched for another diff ID
            self._ingests.discard(digest)

    @asynccontextmanager
    async def _opened(
        self, descriptor: Descriptor, sources: Sequence[Source], report: Listener
    ) -> AsyncIterator[tuple[BlobTransfer, Ingest]]:
        to_the_end = self._tools.executors.disk_to_the_end
        # Two images may name one blob with different diff IDs: the wrong one must not make the other fail.
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
            finally:  # even if cancelled while closing: an ingest that stayed open could not be opened again
                await to_the_end(ingest.close)

    def _unpack(
        self, wanted: _Wanted, transfer: BlobTransfer, ingest: Ingest, follower: Follower, verdict: Verdict[None]
    ) -> None:
        """Unpack a layer while its blob arrives, and commit it once it is verified; runs in a thread of its own."""
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
        """Make a whole tree survive a kill until it is committed; give whether that was possible."""
        is_kept = self._layers.keep_tree(diff_id, directory, report)
        if is_kept:
            self._whole.add(diff_id)
        try:
            yield is_kept
        finally:
            self._whole.discard(diff_id)


def _charged(cost: Cost, *, begins: bool) -> Cost:
    """Return the cost of a transfer for one of its pulls: only the one that began it is charged for what crossed."""
    return cost if begins else Cost(kept=cost.kept)


def _of(descriptor: Descriptor, progress: LayerProgress) -> LayerProgress:
    """Return progress in terms of a blob, for the same layer may be being fetched in another blob."""
    if progress.digest == descriptor.digest:
        return progress
    held = descriptor.size * progress.held // max(1, progress.size)
    return msgspec.structs.replace(progress, digest=descriptor.digest, size=descriptor.size, held=held)


def _still(descriptor: Descriptor, phase: Phase, held: int) -> LayerProgress:
    return LayerProgress(descriptor.digest, phase, held=held, size=descriptor.size)
