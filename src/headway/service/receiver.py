"""Moves the body of one request into the ingest; runs in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable

from headway.distribution.download import Ended, check_skip
from headway.distribution.flow import FlowWatch, LinkMemory
from headway.distribution.spread import Fetch
from headway.errors import Fault, HeadwayError, UnreachableError
from headway.interfaces.content import Ingest
from headway.interfaces.registries import BlobStream


class Receiver:
    """Performs one `Fetch`.

    Args:
        fetch: What to do; its `position` is moved on.
        stream: Not open yet.
        ingest: Takes the bytes.
        memory: What the link has shown.
        host: Who is asked, for errors.
        clock: Monotonic time, in seconds.
    """

    def __init__(
        self,
        fetch: Fetch,
        stream: BlobStream,
        ingest: Ingest,
        *,
        memory: LinkMemory,
        host: str,
        clock: Callable[[], float],
    ) -> None:
        self.fetch = fetch
        self.stream = stream
        self._ingest = ingest
        self._memory = memory
        self._host = host
        self._clock = clock
        self._flowed = 0
        self._skipped = 0
        self._ignored_range = False
        self._stop_at: int | None = None
        self._began = self._flows_since = clock()

    @property
    def flows(self) -> bool:
        """Whether it brings bytes."""
        return self._flowed > 0

    def run(self) -> Ended:
        """Receive until the end of the fetch or of the body; failures are told, not raised."""
        error: HeadwayError | None = None
        try:
            self._receive()
        except HeadwayError as caught:
            error = caught
        finally:
            self.stream.close()
        return Ended(
            flowed_bytes=self._flowed,
            skipped=self._skipped,
            seconds=self._clock() - self._flows_since if self.flows else 0.0,
            ignored_range=self._ignored_range,
            differs=self._stop_at is not None,
            error=error,
        )

    def _receive(self) -> None:
        start = self.stream.open()
        self._ignored_range = start < self.fetch.offset
        to_skip = check_skip(self.fetch, start, self._host)
        self._flows_since = self._clock()
        self._flow(to_skip)

    def _flow(self, to_skip: int) -> None:
        fetch, clock = self.fetch, self._clock
        watch = FlowWatch(self._memory, now=self._flows_since)
        while fetch.position < self._end():
            self.stream.stall_limit_seconds = watch.stall_limit_seconds
            data = self.stream.read()
            if not data:
                break
            now = clock()
            if not self._flowed:
                fetch.waited_seconds = now - self._began
            self._flowed += len(data)
            slow = watch.is_trickle(len(data), now=now)
            skip = min(to_skip, len(data))
            to_skip -= skip
            self._skipped += skip
            if data := data[skip : skip + max(0, self._end() - fetch.position)]:
                self._take(data)
                watch.paused(now=clock())  # what our disk took is not the link's silence
            if slow:
                raise UnreachableError(self._host, Fault.STALLED, "far slower than this link has been")

    def _end(self) -> int:
        return self.fetch.end if self._stop_at is None else min(self.fetch.end, self._stop_at)

    def _take(self, data: bytes) -> None:
        fetch = self.fetch
        if not fetch.check_bytes:
            self._ingest.write_at(fetch.position, data)
        elif self._ingest.read_at(fetch.position, len(data)) != data:
            self._ingest.write_at(fetch.position, data)
            if self._stop_at is None:
                self._stop_at = fetch.position + fetch.check_bytes
        fetch.position += len(data)
