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
from typing import Generic, TypeVar

import msgspec

from headway.distribution.backoff import GiveUp, Retries, RetryPolicy, Wait
from headway.distribution.download import BlobDownload, Commit, Fetch, SetAside, Verify, check_skip
from headway.distribution.endpoints import Endpoint
from headway.distribution.flow import FlowWatch, LinkMemory, first_byte_limit
from headway.distribution.standing import Standing
from headway.errors import DigestMismatchError, Fault, GaveUpError, HeadwayError, StoreError, UnreachableError
from headway.interfaces.content import Follower, Ingest
from headway.interfaces.registries import BlobStream, Registry
from headway.interfaces.traffic import on_errand
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.service.lanes import Lanes, Thread
from headway.service.progress import LayerProgress, Phase

log = logging.getLogger(__name__)

T = TypeVar("T")
READ_BYTES = 1 << 20
REPORT_SECONDS = 0.25
SYNC_BYTES = 64 << 20
SYNC_SECONDS = 5.0


class Source(msgspec.Struct, frozen=True):
    """One place a blob may be had from.

    Attributes:
        endpoint: Whom to ask.
        repository: Path of the repository there.
    """

    endpoint: Endpoint
    repository: str


class Tools(msgspec.Struct, frozen=True):
    """What every transfer of a process works with.

    Attributes:
        registry: Reads from registries.
        lanes: Threads.
        memory: What the link has shown.
        standing: What registries have shown.
        policy: Returns when to give up; asked before each attempt, so that a change takes effect at once.
        clock: Monotonic time, in seconds.
        jitter: Returns a number from 0 up to 1.
        retries: What this process has had to ask for again, by cause.
        useful: Told how many bytes came that were not here before (`interfaces.traffic.TrafficCounter`).
        reused: Told how many did not have to come.
    """

    registry: Registry
    lanes: Lanes
    memory: LinkMemory
    standing: Standing
    policy: Callable[[], RetryPolicy]
    clock: Callable[[], float]
    jitter: Callable[[], float]
    retries: Counter[str] = msgspec.field(default_factory=Counter)
    useful: Callable[[int], None] = lambda _: None
    reused: Callable[[int], None] = lambda _: None


class Consumer(Generic[T]):
    """Blocking work over the bytes of an ingest while they arrive; it can be started again from the first byte.

    Args:
        ingest: Where the bytes arrive.
        work: Called in a thread with a follower, and with the verdict on the blob's digest that it may wait for.
        name: Name of the thread.
        failed: Called when the work failed in such a way that more bytes would not help.
        fatal: What that is: by default, a failure of our own disk.
    """

    def __init__(
        self,
        ingest: Ingest,
        work: Callable[[Follower, Verdict[None]], T],
        *,
        name: str,
        failed: Callable[[], None] = lambda: None,
        fatal: type[HeadwayError] = StoreError,
    ) -> None:
        self._ingest = ingest
        self._work = work
        self._name = name
        self._failed = failed
        self._fatal = fatal
        self.start()

    def start(self) -> None:
        """Begin at the first byte."""
        follower = self._ingest.follow()
        verdict: Verdict[None] = Verdict()

        def abort() -> None:
            verdict.cancel()
            follower.stop()

        self._verdict = verdict
        self._thread = Thread(lambda: self._work(follower, verdict), abort=abort, name=self._name)
        self._thread.done.add_done_callback(self._finished)

    def _finished(self, done: asyncio.Future[T]) -> None:
        if not done.cancelled() and isinstance(done.exception(), self._fatal):
            self._failed()

    def approve(self) -> None:
        """Tell the work that the whole blob has the right digest."""
        if not self._verdict.done():
            self._verdict.set_result(None)

    @property
    def fatal_error(self) -> HeadwayError | None:
        """Why the work ended, if more bytes would not help."""
        done = self._thread.done
        error = done.exception() if done.done() and not done.cancelled() else None
        return error if isinstance(error, self._fatal) else None

    async def is_done_in(self, seconds: float) -> bool:
        """Tell whether the work ends within some seconds, well or not."""
        done, _ = await asyncio.wait({self._thread.done}, timeout=seconds)
        return bool(done)

    async def result(self) -> T:
        """Return what the work gave; raise what it raised."""
        return await asyncio.shield(self._thread.done)

    async def stop(self) -> None:
        """End the work, whatever it is at."""
        await self._thread.stop()


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


def _log_retry(wait: Wait, policy: RetryPolicy) -> None:
    """Log what Moby's daemon logs (moby-behaviour 2.4); an attempt that brought bytes is told as the first."""
    log.info("Download failed, retrying (%d/%d): %s", max(1, wait.attempts), policy.max_attempts, wait.cause)


def _log_end(error: HeadwayError, attempts: int) -> None:
    cause = error.cause if isinstance(error, GaveUpError) else error
    log.error("Download failed after %d attempts: %s", max(1, attempts), cause)


class Fetched(msgspec.Struct, frozen=True):
    """What one request gave: see `BlobDownload.fetched`."""

    flowed_bytes: int
    skipped: int
    seconds: float
    error: HeadwayError | None


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
        tools: Tools,
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
        self._stream: BlobStream | None = None
        self._host = ""
        self._received_before = 0
        self._timeouts = 0
        self._synced_at = tools.clock()
        self._kept = ingest.held().total
        self._consumers: list[Consumer[object]] = []
        self._digest = self.consume(self._hash, "hash") if is_digest_known else None
        self._unpacked = 0
        self._retries: Counter[str] = Counter()

    def consume(
        self, work: Callable[[Follower, Verdict[None]], T], name: str, *, fatal: type[HeadwayError] = StoreError
    ) -> Consumer[T]:
        """Let `work` read the blob while it arrives; it starts anew if the bytes turn out wrong.

        A failure of a `fatal` kind ends the transfer.
        """
        consumer = Consumer(self._ingest, work, name=name, failed=self._interrupt, fatal=fatal)
        self._consumers.append(consumer)  # type: ignore[arg-type]  # results are only read by whoever made it
        return consumer

    @property
    def received_bytes(self) -> int:
        """Bytes that crossed the network for this blob so far, headers included."""
        stream = self._stream
        return self._received_before + (stream.received_bytes if stream is not None else 0)

    def cost(self) -> Cost:
        """Return what it cost so far."""
        return Cost(self.received_bytes, self._kept, dict(self._retries))

    def unpacked_to(self, offset: int) -> None:
        """Take note of how much of the blob has been unpacked; called from the unpacking thread."""
        self._unpacked = offset

    async def run(self) -> None:
        """Bring every byte, verified; consumers have been told when this returns.

        Raises:
            HeadwayError: It was given up; the ingest keeps what arrived.
        """
        tools = self._tools
        retries = Retries(tools.policy(), now=tools.clock(), jitter=tools.jitter)
        machine = BlobDownload(self._descriptor.size, self._ingest.held(), sources=len(self._sources), retries=retries)
        while True:
            retries.policy = tools.policy()
            match machine.next_action():
                case Fetch() as fetch:
                    fetched = await self._fetch(fetch)
                    machine.fetched(
                        self._ingest.held(),
                        flowed_bytes=fetched.flowed_bytes,
                        skipped=fetched.skipped,
                        seconds=fetched.seconds,
                        now=tools.clock(),
                        error=fetched.error,
                    )
                case Wait() as wait:
                    _log_retry(wait, retries.policy)
                    await self._wait(wait)
                case Verify():
                    machine.verified(error=await self._verify())
                case SetAside():
                    await self._set_aside()
                    machine.emptied()
                case Commit():
                    return self._approve()
                case GiveUp(error):
                    _log_end(error, retries.attempts)
                    raise error

    def _approve(self) -> None:
        for consumer in self._consumers:
            consumer.approve()

    async def close(self) -> None:
        """End all work on the ingest; its bytes stay."""
        for consumer in self._consumers:
            await consumer.stop()

    # Actions

    async def _fetch(self, fetch: Fetch) -> Fetched:
        if fatal := self._fatal_error():
            return Fetched(0, 0, 0.0, fatal)
        source = self._sources[fetch.source]
        stream = self._tools.registry.blob(
            source.endpoint, source.repository, self._descriptor, fetch.offset, fetch.end
        )
        stream.stall_limit_seconds = first_byte_limit(self._timeouts)
        self._stream = stream
        self._host = source.endpoint.host
        with on_errand(registry=self._host):
            thread = Thread(lambda: self._receive(fetch, stream, self._host), abort=stream.abort, name="fetch")
        try:
            while not thread.done.done():
                await asyncio.wait({thread.done}, timeout=REPORT_SECONDS)
                self.report(Phase.DOWNLOADING)
                await self._sync_if_due()
            fetched = thread.done.result()
        finally:
            await thread.stop()
            self._received_before += stream.received_bytes
            self._stream = None
        error: HeadwayError | None = self._fatal_error() or fetched.error
        self._note(error, flowed=fetched.flowed_bytes > 0)
        return msgspec.structs.replace(fetched, error=error)

    def _fatal_error(self) -> HeadwayError | None:
        return next((c.fatal_error for c in self._consumers if c.fatal_error is not None), None)

    def _count_retry(self, error: HeadwayError) -> None:
        self._retries[error.brief] += 1
        self._tools.retries[error.brief] += 1

    def _note(self, error: HeadwayError | None, *, flowed: bool) -> None:
        if error is not None:
            self._count_retry(error)
        timed_out = isinstance(error, UnreachableError) and error.fault is Fault.TIMEOUT
        self._timeouts = self._timeouts + 1 if timed_out and not flowed else 0

    def _receive(self, fetch: Fetch, stream: BlobStream, host: str) -> Fetched:
        """Move a body into the ingest; runs in a thread of its own."""
        clock = self._tools.clock
        flowed = skipped = 0
        began = clock()
        error: HeadwayError | None = None
        try:
            position = stream.open()
            to_skip = check_skip(fetch, position, host)
            began = clock()
            watch = FlowWatch(self._tools.memory, now=began)
            while position < fetch.end:
                stream.stall_limit_seconds = watch.stall_limit_seconds
                data = stream.read()
                if not data:
                    break
                flowed += len(data)
                slow = watch.is_trickle(len(data), now=clock())
                skip = min(to_skip, len(data))
                to_skip -= skip
                skipped += skip
                position += skip
                if data := data[skip : skip + fetch.end - position]:
                    self._tools.useful(self._ingest.write_at(position, data))
                    position += len(data)
                    watch.paused(now=clock())  # what our disk took is not the link's silence
                if slow:
                    raise UnreachableError(host, Fault.STALLED, "far slower than this link has been")
        except HeadwayError as caught:
            error = caught
        finally:
            stream.close()
        return Fetched(flowed, skipped, clock() - began, error)

    async def _wait(self, wait: Wait) -> None:
        if wait.seconds <= 0:
            return
        due = self._tools.clock() + wait.seconds
        while (left := due - self._tools.clock()) > 0:
            self.report(Phase.RETRYING, cause=str(wait.cause), retry_seconds=left, attempts=wait.attempts)
            await asyncio.sleep(min(1.0, left))
            await self._sync_if_due()

    async def _verify(self) -> HeadwayError | None:
        if self._digest is None:
            return None
        actual = await self.outlast(self._digest)
        expected = self._descriptor.digest
        if actual == expected:
            return None
        error = DigestMismatchError("the blob", expected, actual)
        self._count_retry(error)
        return error

    async def _set_aside(self) -> None:
        for consumer in self._consumers:
            await consumer.stop()
        with on_errand(registry=self._host):
            self._tools.useful(-self._ingest.held().total)
        await self._tools.lanes.disk(self._ingest.suspect)
        for consumer in self._consumers:
            consumer.start()

    async def outlast(self, consumer: Consumer[T]) -> T:
        """Return what a consumer gives; what arrived is made to survive a power cut meanwhile, when that is due."""
        while not await consumer.is_done_in(REPORT_SECONDS):
            await self._sync_if_due()
        return await consumer.result()

    async def _sync_if_due(self) -> None:
        now = self._tools.clock()
        unsynced = self._ingest.unsynced()
        if unsynced >= SYNC_BYTES or (unsynced and now - self._synced_at >= SYNC_SECONDS):
            self._synced_at = now
            await self._tools.lanes.disk(self._ingest.sync)

    # What goes on meanwhile

    def _hash(self, follower: Follower, verdict: Verdict[None]) -> Digest:
        algorithm = self._descriptor.digest.algorithm
        state = hashlib.new(algorithm)
        while data := follower.read(READ_BYTES):
            state.update(data)
        return Digest(f"{algorithm}:{state.hexdigest()}")

    def _interrupt(self) -> None:
        if self._stream is not None:
            self._stream.abort()

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
                received=self.received_bytes,
                cause=cause,
                retry_seconds=retry_seconds,
                attempts=attempts,
            )
        )
