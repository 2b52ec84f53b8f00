"""Brings one blob into its ingest: performs what `distribution.download` decides, and reports what happened.

Rule 1: there is no decision here; there is no I/O there.
Rule 2: whatever ends a transfer, the ingest keeps what arrived.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future as Verdict
from typing import TypeVar

import msgspec

from headway.distribution.backoff import GiveUp, Retries, Wait
from headway.distribution.download import Action, BlobDownload, Commit, Ended, SetAside, Verify
from headway.distribution.durability import sync_due_in
from headway.distribution.spread import Fetch
from headway.errors import DigestMismatchError, GaveUpError, HeadwayError, MisbehavedError, StoreError
from headway.interfaces.content import Follower, Ingest
from headway.interfaces.traffic import on_errand
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.service.concurrency.executors import to_the_end
from headway.service.transfers.consumer import Consumer
from headway.service.transfers.fetches import Fetches
from headway.service.transfers.progress import LayerProgress, Phase
from headway.service.transfers.tools import Source, TransferTools

log = logging.getLogger(__name__)

T = TypeVar("T")
READ_BYTES = 1 << 18
REPORT_SECONDS = 0.25
HASHED_AT_ONCE = 4 << 20
"""Bytes of the largest blob that is hashed once it is whole: that takes less than to follow it piece by piece."""

FIRST_REPORT_SECONDS = 0.02  # while others wait for what this one shows of the link


class Cost(msgspec.Struct, frozen=True):
    """What one transfer cost.

    Attributes:
        received: Bytes that crossed the network, headers included.
        kept: Bytes that an earlier attempt had left.
        retries: Failures by cause.
    """

    received: int = 0
    kept: int = 0
    retries: dict[str, int] = {}


def _log_retry(error: HeadwayError, retries: Retries) -> None:
    """Log what Moby's daemon logs (moby-behaviour 2.4); an attempt that brought bytes is told as the first."""
    attempts = max(1, retries.attempts)
    log.info("Download failed, retrying (%d/%d): %s", attempts, retries.policy.max_attempts, error)


def _log_end(error: HeadwayError, retries: Retries) -> None:
    cause = error.cause if isinstance(error, GaveUpError) else error
    log.error("Download failed after %d attempts: %s", max(1, retries.attempts), cause)


class BlobTransfer:
    """One blob's way into its ingest.

    Args:
        tools: What to work with.
        sources: Where to ask, first choice first.
        descriptor: The blob.
        ingest: Open; the caller closes it.
        report: Told how far it is.
        is_digest_known: Whether the descriptor's digest is that of the bytes, and not only a name to keep them by.
    """

    def __init__(
        self,
        tools: TransferTools,
        sources: Sequence[Source],
        descriptor: Descriptor,
        ingest: Ingest,
        report: Callable[[LayerProgress], None],
        *,
        is_digest_known: bool = True,
    ) -> None:
        self._tools = tools
        self._sources = sources
        self._descriptor = descriptor
        self._ingest = ingest
        self._report_to = report
        self._fetches = Fetches(tools, sources, descriptor, ingest)
        self._synced_at = tools.clock()  # when nothing of it was unsynced
        self._kept = ingest.held().total
        self._consumers: list[Consumer[object]] = []
        self._is_digest_known = is_digest_known
        hashes_now = is_digest_known and descriptor.size > HASHED_AT_ONCE
        self._digest = self.consume(self._hash, "hash") if hashes_now else None
        self._is_doubted = False
        self._untold: HeadwayError | None = None  # what went wrong, where that is not in the log yet
        self._unpacked = 0
        self._is_committing = False
        self._retries: Counter[str] = Counter()
        self._machine = BlobDownload(
            descriptor.size,
            ingest.held(),
            sources=len(sources),
            retries=Retries(tools.policy(), now=tools.clock(), jitter=tools.jitter),
            whole=self._fetches.sources_without_ranges,
        )

    def consume(
        self,
        work: Callable[[Follower, Verdict[None]], T],
        name: str,
        fatal: type[HeadwayError] = StoreError,
    ) -> Consumer[T]:
        """Let `work` read the blob while it arrives; it starts anew if the bytes turn out wrong.

        Args:
            work: See `Consumer`.
            name: Of its thread.
            fatal: What it may raise that more bytes would not help against.
        """
        consumer = Consumer(self._ingest, work, name=name, failed=self._fetches.abort, fatal=fatal)
        self._consumers.append(consumer)  # type: ignore[arg-type]  # results are only read by whoever made it
        return consumer

    def cost(self) -> Cost:
        """Return what it cost so far."""
        return Cost(self._fetches.received_bytes, self._kept, dict(self._retries))

    def unpacked_to(self, offset: int) -> None:
        """Take note of how much of the blob has been unpacked; called from the unpacking thread."""
        self._unpacked = offset

    def committing(self) -> None:
        """Take note that the unpacked layer is being committed, and the blob may go; the unpacking thread calls it."""
        self._is_committing = True

    async def run(self) -> None:
        """Bring every byte, verified; consumers have been told when this returns.

        Raises:
            HeadwayError: It was given up; the ingest keeps what arrived.
        """
        try:
            while not await self._step():
                pass
        except asyncio.CancelledError:
            await self._fetches.stop()
            self.report(Phase.DOWNLOADING)  # who leaves is told of what has arrived until then
            raise
        finally:
            await self._fetches.stop()
        self._tools.streams.showed_nothing()
        for consumer in self._consumers:
            consumer.approve()

    def _decide(self) -> Action | None:
        machine, now = self._machine, self._tools.clock()
        machine.retries.policy = self._tools.policy()
        action = machine.next_action(now=now, streams=self._fetches.share(machine.source, now))
        if self._untold is not None and isinstance(action, Fetch | Wait):
            _log_retry(self._untold, machine.retries)
            self._untold = None
        return action

    async def _step(self) -> bool:
        """Do the next thing; tell whether it was the last."""
        match self._decide():
            case Fetch() as fetch:
                self._start(fetch)
            case None:
                await self._watch()
            case Wait() as wait:
                await self._wait(wait)
            case Verify():
                await self._verify()
            case SetAside():
                await self._set_aside()
            case Commit():
                self._restart_doubted()
                return True
            case GiveUp(error):
                _log_end(error, self._machine.retries)
                raise error
        return False

    async def close(self) -> None:
        """End all work on the ingest; its bytes stay.

        Who leaves a pull is cancelled, and once more with the group. A commit is waited for all the same; unpacking is
        not, which first works off all that has been expanded.
        """
        for consumer in self._consumers:
            consumer.abort()
        ending = asyncio.gather(*(consumer.stop() for consumer in self._consumers))
        await (to_the_end(ending) if self._is_committing else ending)

    # Actions

    def _start(self, fetch: Fetch) -> None:
        if fatal := self._fatal_error():
            self._ended(fetch, Ended(error=fatal))
        else:
            self._fetches.start(fetch)

    async def _watch(self) -> None:
        """Wait until a request ends, or for as long as a report may wait."""
        unknown = self._tools.streams.is_unknown
        ended = await self._fetches.wait(FIRST_REPORT_SECONDS if unknown else REPORT_SECONDS)
        self.report(Phase.DOWNLOADING)
        await self._sync_if_due()
        for fetch, how in ended:
            self._ended(fetch, how)

    def _ended(self, fetch: Fetch, ended: Ended) -> None:
        error = self._fatal_error() or ended.error
        self._untold = error or self._untold
        if error is not None and (error.retryable or isinstance(error, MisbehavedError)):  # "not found" is no failure
            self._count_retry(error)
        ended = msgspec.structs.replace(ended, error=error)
        self._machine.fetched(fetch, self._ingest.held(), ended, now=self._tools.clock())

    def _count_retry(self, error: HeadwayError) -> None:
        self._retries[error.brief] += 1
        self._tools.retried(error.brief)

    def _fatal_error(self) -> HeadwayError | None:
        return next((c.fatal_error for c in self._consumers if c.fatal_error is not None), None)

    async def _wait(self, wait: Wait) -> None:
        self.report(Phase.RETRYING, cause=str(wait.cause), retry_seconds=wait.seconds, attempts=wait.attempts)
        back = await self._tools.pause(min(1.0, wait.seconds), self._machine.failures)
        if back is not None:
            self._machine.returned(back, now=self._tools.clock())
        await self._sync_if_due()

    async def _verify(self) -> None:
        if not self._is_digest_known:
            self._machine.verified(error=None)
            return
        if self._digest is None:
            self._digest = self.consume(self._hash, "hash")
        elif self._is_doubted:
            self._digest.start()
        expected, actual = self._descriptor.digest, await self.outlast(self._digest)
        if actual == expected:
            self._machine.verified(error=None)
            return
        hosts = ", ".join(dict.fromkeys(source.endpoint.host for source in self._sources))
        error = self._untold = DigestMismatchError("the blob", expected, actual, hosts)
        self._count_retry(error)
        failed_at: int | None = None
        if not self._is_doubted:
            self._is_doubted = True
            places = [await consumer.refuse() for consumer in self._consumers]
            failed_at = next((place for place in places if place is not None), None)
        self._machine.verified(error=error, failed_at=failed_at)

    def _restart_doubted(self) -> None:
        """Let those who read wrong bytes read the right ones."""
        if self._is_doubted:
            for consumer in self._consumers:
                if consumer is not self._digest:
                    consumer.start()

    async def _set_aside(self) -> None:
        with on_errand(registry=self._sources[self._machine.source].endpoint.host):
            self._tools.useful(-self._ingest.held().total)
        await self._tools.executors.disk(self._ingest.suspect)
        self._machine.emptied()

    async def outlast(self, consumer: Consumer[T]) -> T:
        """Return what a consumer gives; what arrived is made to survive a power cut meanwhile, when that is due."""
        while not await consumer.is_done_in(REPORT_SECONDS):
            await self._sync_if_due()
        return await consumer.result()

    async def _sync_if_due(self) -> None:
        if not self._ingest.unsynced():
            self._synced_at = self._tools.clock()
        elif not self.sync_due_in():
            self._synced_at = self._tools.clock()
            await self._tools.executors.disk(self._ingest.sync)

    def sync_due_in(self) -> float:
        """Return in how many seconds what arrived is to be synced; any thread may ask."""
        age = self._tools.clock() - self._synced_at
        return sync_due_in(self._ingest.unsynced(), age, is_fast=self._tools.streams.is_fast)

    # What goes on meanwhile

    def _hash(self, follower: Follower, verdict: Verdict[None]) -> Digest:
        algorithm = self._descriptor.digest.algorithm
        state = hashlib.new(algorithm)
        while data := follower.read(READ_BYTES):
            state.update(data)
        return Digest(f"{algorithm}:{state.hexdigest()}")

    def report(self, phase: Phase, *, cause: str = "", retry_seconds: float = 0.0, attempts: int = 0) -> None:
        """Tell how far the blob is."""
        self._report_to(
            LayerProgress(
                digest=self._descriptor.digest,
                phase=phase,
                held=self._ingest.held().total,
                size=self._descriptor.size,
                kept=self._kept,
                unpacked=self._unpacked,
                received=self._fetches.received_bytes,
                cause=cause,
                retry_seconds=retry_seconds,
                attempts=attempts,
            )
        )
