"""Moves the body of one request into the ingest; runs in a thread of its own."""

from __future__ import annotations

from headway.distribution.download import Ended
from headway.distribution.flow import FlowWatch
from headway.distribution.skipping import check_skip
from headway.distribution.spread import Fetch
from headway.errors import Fault, HeadwayError, UnreachableError
from headway.interfaces.content import Ingest
from headway.interfaces.registries import BlobStream
from headway.service.limits.own_limits import own_limits, rate_over
from headway.service.transfers.tools import TransferTools


class Receiver:
    """Performs one `Fetch`.

    Args:
        fetch: The range to fetch; its `position` advances as bytes are written.
        stream: The request, not yet open.
        ingest: Where the bytes are written.
        tools: Clock, rate limit, memory of the link, and counter of useful bytes.
        host: Name of the server, for errors.
    """

    def __init__(
        self,
        fetch: Fetch,
        stream: BlobStream,
        ingest: Ingest,
        *,
        tools: TransferTools,
        host: str,
    ) -> None:
        self.fetch = fetch
        self.stream = stream
        self._ingest = ingest
        self._tools = tools
        self._rate = rate_over(tools.rate)
        self._budget = own_limits().budget
        self._host = host
        self._clock = clock = tools.clock
        self._is_over = False
        self._paid = 0
        self._flowed = 0
        self._skipped = 0
        self._ignored_range = False
        self._stop_at: int | None = None
        self._began = self._flows_since = clock()

    @property
    def flows(self) -> bool:
        """Whether any byte of the body has arrived."""
        return self._flowed > 0

    def abort(self) -> None:
        """Make `run` end soon; may be called from another thread."""
        self._is_over = True
        self.stream.abort()

    def run(self) -> Ended:
        """Receive until the end of the fetch or of the body; a failure is part of the result, and not raised."""
        error: HeadwayError | None = None
        try:
            self._receive()
        except HeadwayError as caught:
            if self.fetch.position < self.fetch.end:  # otherwise it was cut short on purpose: others fetch the rest
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
        wanted = self.fetch.end - self.fetch.offset
        self._paid = self._rate.prepay(wanted, is_over=lambda: self._is_over)
        self._keep_to_budget()
        start = self.stream.open()
        self._ignored_range = start < self.fetch.offset
        to_skip = check_skip(self.fetch, start, self._host)
        self._flows_since = self._clock()
        self._flow(to_skip)

    def _flow(self, to_skip: int) -> None:
        fetch, clock = self.fetch, self._clock
        watch = FlowWatch(self._tools.memory, now=self._flows_since)
        while fetch.position < self._end():
            self.stream.stall_limit_seconds = watch.stall_limit_seconds
            data = self.stream.read()
            if not data:
                break
            now = clock()
            if not self._flowed:
                fetch.waited_seconds = now - self._began
            received = len(data)
            self._flowed += received
            slow = watch.is_trickle(received, now=now)
            skip = min(to_skip, received)
            to_skip -= skip
            self._skipped += skip
            if data := data[skip : skip + max(0, self._end() - fetch.position)]:
                self._take(data)
            self._keep_to_rate(received)
            self._keep_to_budget()
            watch.paused(now=clock())  # time spent on our disk and on a rate limit is not silence of the link
            if slow:
                raise UnreachableError(self._host, Fault.STALLED, "far slower than this link has been")

    def _keep_to_rate(self, received: int) -> None:
        """Wait as the rate limit demands for what was received, except for bytes prepaid before the request."""
        unpaid = self.fetch.end - self.fetch.position + received - self._paid
        self._rate.wait(min(received, max(0, unpaid)), is_over=lambda: self._is_over)

    def _keep_to_budget(self) -> None:
        """Block while the pull's budget is spent; once that pull is stopped, the transfer goes on for any others."""
        if self._budget is not None:
            self._budget.wait(is_over=lambda: self._is_over)

    def _end(self) -> int:
        return self.fetch.end if self._stop_at is None else min(self.fetch.end, self._stop_at)

    def _take(self, data: bytes) -> None:
        fetch = self.fetch
        if not fetch.check_bytes:
            self._tools.useful(self._ingest.write_at(fetch.position, data))
        elif self._ingest.read_at(fetch.position, len(data)) != data:
            self._tools.useful(self._ingest.write_at(fetch.position, data))
            if self._stop_at is None:
                self._stop_at = fetch.position + fetch.check_bytes
        fetch.position += len(data)
