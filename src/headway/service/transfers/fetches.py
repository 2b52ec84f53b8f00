"""The running requests for one blob, each in a thread of its own, and what they reveal about the link."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from headway.distribution.download import Ended
from headway.distribution.flow import first_byte_limit
from headway.distribution.spread import Fetch
from headway.distribution.streams import HostStreams
from headway.errors import Fault, UnreachableError
from headway.interfaces.content import Ingest
from headway.interfaces.traffic import on_errand
from headway.oci.descriptor import Descriptor
from headway.service.concurrency.executors import Thread
from headway.service.limits.own_limits import own_limits, rate_over
from headway.service.transfers.receiver import Receiver
from headway.service.transfers.tools import Source, TransferTools


class _Running(msgspec.Struct, frozen=True):
    """A running request."""

    receiver: Receiver
    thread: Thread[Ended]


class Fetches:
    """Performs each `Fetch` of a blob.

    Args:
        tools: Registry, clock, memory of the link and so on.
        sources: The sources, to which `Fetch.source` is an index.
        descriptor: The blob.
        ingest: Where the bytes are written.
    """

    def __init__(self, tools: TransferTools, sources: Sequence[Source], descriptor: Descriptor, ingest: Ingest) -> None:
        self._tools = tools
        self._sources = sources
        self._descriptor = descriptor
        self._ingest = ingest
        self._running: list[_Running] = []
        self._received_before = 0
        self._reported = 0
        self._timeouts = 0

    @property
    def received_bytes(self) -> int:
        """Bytes received so far, headers included."""
        return self._received_before + sum(each.receiver.stream.received_bytes for each in self._running)

    @property
    def sources_without_ranges(self) -> list[int]:
        """Indexes of the sources that are known to ignore ranges, from this blob or another one."""
        return [index for index in range(len(self._sources)) if self._streams(index).ignores_ranges]

    def _streams(self, source: int) -> HostStreams:
        return self._tools.streams.to(self._sources[source].endpoint.host)

    def share(self, source: int, now: float) -> int:
        """Report the flow, and return how many requests to a source may run."""
        flowing = sum(each.receiver.flows for each in self._running)
        received = self.received_bytes
        fresh, self._reported = received - self._reported, received
        if own_limits().rate is None:
            self._tools.streams.report(fresh, flowing=flowing, now=now)
        elif fresh:
            self._tools.streams.showed_nothing()
        streams = self._streams(source)
        # More requests cannot exceed a rate limit, and would waste a budget on bytes in flight when they are stopped.
        is_limited = rate_over(self._tools.rate).rate is not None or own_limits().budget is not None
        streams.report(
            id(self),
            open_streams=len(self._running),
            flowing=flowing,
            waited_seconds=max((each.receiver.fetch.waited_seconds for each in self._running), default=0.0),
            received=fresh,
            left=self._descriptor.size - self._ingest.held().total,
            thin=self._tools.streams.is_thin,
            limited=is_limited,
            now=now,
        )
        return 1 if is_limited else streams.share(id(self))

    def start(self, fetch: Fetch) -> None:
        """Start a request for `fetch`; `wait` returns how it ended."""
        source, tools = self._sources[fetch.source], self._tools
        wanted = (0, self._descriptor.size) if fetch.without_range else (fetch.offset, fetch.end)
        stream = tools.registry.blob(source.endpoint, source.repository, self._descriptor, *wanted)
        slowest = self._streams(fetch.source).first_byte_seconds
        stream.stall_limit_seconds = first_byte_limit(self._timeouts, slowest)
        host = source.endpoint.host
        receiver = Receiver(fetch, stream, self._ingest, tools=tools, host=host)
        with on_errand(registry=host):
            thread = Thread(receiver.run, abort=receiver.abort, name="fetch")
        tools.memory.began()  # only now: starting the thread may have failed
        self._running.append(_Running(receiver, thread))

    async def wait(self, seconds: float) -> list[tuple[Fetch, Ended]]:
        """Wait until a request has ended, at most `seconds`; return each fetch that has ended, and how."""
        pending = {each.thread.done for each in self._running}
        if pending:
            await asyncio.wait(pending, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(seconds)
        ended = [each for each in self._running if each.thread.done.done()]
        for each in ended:
            self._remove(each)
            self._note(each.receiver.fetch, each.thread.done.result())
        for each in self._running:
            if each.receiver.fetch.position >= each.receiver.fetch.end and not each.receiver.flows:
                each.thread.abort()  # others have done its work, and it may wait long for its first byte
        return [(each.receiver.fetch, each.thread.done.result()) for each in ended]

    def _remove(self, running: _Running) -> None:
        self._running.remove(running)
        self._tools.memory.ended()
        self._received_before += running.receiver.stream.received_bytes

    def _note(self, fetch: Fetch, ended: Ended) -> None:
        streams = self._streams(fetch.source)
        if ended.ignored_range:
            streams.ignores_ranges = True
        if ended.flowed_bytes:
            broken = ended.error is not None
            streams.ended(waited_seconds=fetch.waited_seconds, flowed_seconds=ended.seconds, broken=broken)
        timed_out = isinstance(ended.error, UnreachableError) and ended.error.fault is Fault.TIMEOUT
        self._timeouts = self._timeouts + 1 if timed_out and not ended.flowed_bytes else 0

    def abort(self) -> None:
        """Make every request end soon."""
        for running in self._running:
            running.thread.abort()

    async def stop(self) -> None:
        """Abort every request, and wait until all have ended."""
        self.abort()
        try:
            for running in self._running:
                await running.thread.stop()
        finally:
            for running in tuple(self._running):
                self._remove(running)
            for source in range(len(self._sources)):
                self._streams(source).gone(id(self))
