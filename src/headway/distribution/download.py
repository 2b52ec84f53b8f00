"""Sans-I/O download of one blob.

Rule 1: every decision about ranges, restarts, sources, repairs and giving up is in this file, in `sources`, `backoff`,
        `skipping` and `suspects`. How many streams there may be is decided in `streams` and `stream_limit`, and which
        ranges they fetch in `spread`.
Rule 2: this file does not know what a URL, a file or a clock is.
Rule 3: the ingest says which bytes are held; the machine never counts bytes by itself.
Rule 4: bytes that are held are not requested again unless the whole blob turned out to have another digest, and then
        only as many of them as it takes to find the damage.
Rule 5: a stream that fails while others go on costs nothing beyond its own bytes.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from headway.distribution.backoff import FLOW_BYTES, GiveUp, Retries, Wait
from headway.distribution.ranges import Ranges
from headway.distribution.skipping import RangeIgnoredError
from headway.distribution.sources import Sources
from headway.distribution.spread import Fetch, Spread
from headway.distribution.stream_limit import PAUSE_SECONDS, StreamLimit
from headway.distribution.suspects import Doubts
from headway.errors import (
    Fault,
    HeadwayError,
    MisbehavedError,
    OutOfOrderError,
    StoreError,
    ThrottledError,
    UnreachableError,
)

CHEAP_SKIP_BYTES = 1 << 20  # a few times what is in flight, and lost, when a connection is closed for a new one


class Verify(msgspec.Struct, frozen=True):
    """Compare the digest of the whole blob, of which every byte is held; report with `BlobDownload.verified`."""


class SetAside(msgspec.Struct, frozen=True):
    """Count no byte as held, for they are wrong and no source has better ones; report with `BlobDownload.emptied`."""


class Commit(msgspec.Struct, frozen=True):
    """Publish the blob, which is complete and verified. There is nothing to report."""


Action = Fetch | Wait | Verify | SetAside | Commit | GiveUp


class Ended(msgspec.Struct, frozen=True):
    """How a `Fetch` ended.

    Attributes:
        flowed_bytes: Bytes of the body that arrived.
        skipped: Bytes of them in front of the requested range.
        seconds: How long the body flowed.
        ignored_range: Whether the server sent the whole blob instead of the requested range.
        differs: Whether a comparison found that bytes that were held are wrong.
        error: Why it ended early; None if the body ended by itself, or everything requested has arrived.
    """

    flowed_bytes: int = 0
    skipped: int = 0
    seconds: float = 0.0
    ignored_range: bool = False
    differs: bool = False
    error: HeadwayError | None = None


class BlobDownload:
    """Decide what to do next while one blob is fetched, without doing it.

    The caller performs each action and reports what happened. A crash between an action and its report is safe:
    start again with the bytes that are held.

    Args:
        size: Size promised by the descriptor, in bytes.
        held: Bytes that an earlier attempt left in the ingest.
        sources: How many sources there are, at least one; they are tried in order.
        retries: Decides whether and when to try again.
        whole: Sources that are known to ignore ranges.

    Attributes:
        retries: As given.
    """

    def __init__(self, size: int, held: Ranges, *, sources: int, retries: Retries, whole: Collection[int] = ()) -> None:
        self._size = size
        self._held = held
        self._sources = Sources(sources, whole)
        self.retries = retries
        self._next: Action | None = None  # None: fetch what is missing, or verify the whole
        self._end: GiveUp | None = None  # the action after a `SetAside`
        self._under_way: Verify | SetAside | None = None
        self._spread = Spread(size)
        self._stream_limit = StreamLimit()
        self._skipped = 0
        self._doubts = Doubts(size, held, sources)
        # The wrong digest, once only sources are asked that have not yet sent or compared every byte.
        self._unmended: HeadwayError | None = None
        self._cause: HeadwayError | None = None

    @property
    def running(self) -> list[Fetch]:
        """The running requests."""
        return self._spread.running

    @property
    def source(self) -> int:
        """Index of the current source."""
        return self._sources.current

    @property
    def failures(self) -> list[HeadwayError]:
        """The last error of each source that has failed since the last new byte, the latest last."""
        return list(self._sources.failures.values())

    def next_action(self, *, now: float, streams: int = 1) -> Action | None:
        """Return an action to perform now; None if there is nothing to do before a report, or before time has passed.

        Args:
            now: Monotonic time, in seconds.
            streams: How many requests may run at once.

        Raises:
            OutOfOrderError: The end of a `Verify` or `SetAside` has not been reported.
        """
        if self._under_way is not None:
            raise OutOfOrderError(f"next_action while {type(self._under_way).__name__} is under way")
        action = self._proceed(now, streams) if self._next is None else self._next
        if isinstance(action, Verify | SetAside):
            self._under_way = action
        return action

    def _proceed(self, now: float, streams: int) -> Action | None:
        running = self._spread.running
        if not running and self._is_to_be_verified():
            return Verify()
        self._stream_limit.flow(sum(fetch.position > fetch.offset for fetch in running))
        limit = self._limit(now, streams)
        if len(running) >= limit or (running and not self._stream_limit.may_add(now=now)):
            return None
        if (seconds := self._sources.seconds_until_due(now)) <= 0:
            return self._fetch(now, limit)
        if running or self._cause is None:
            return None
        cause = self._cause
        if not cause.retryable:  # it is the reason why another source was left, not what is waited for
            cause = self._sources.failures.get(self.source, cause)
        return self.retries.unless_too_long(Wait(seconds, cause, self.retries.attempts), now=now)

    def _limit(self, now: float, streams: int) -> int:
        if self._sources.ignores_ranges or self._doubts.have_begun:
            return 1
        return self._stream_limit.most(streams, now=now)

    def _is_to_be_verified(self) -> bool:
        return self._doubts.are_over if self._doubts.have_begun else self._held.covers(self._size)

    def _fetch(self, now: float, streams: int) -> Fetch | None:
        if self._doubts.have_begun:
            start, end = self._doubts.first(whole=self._sources.ignores_ranges)
            return self._begin(start, end, self._size - self._skipped, now, check_bytes=self._doubts.check_bytes)
        interval = self._spread.find(self._held, streams=streams, now=now)
        if interval is None:
            return None
        # Beside other requests, one to a server that ignores ranges would not help.
        skips = not self._spread.running and not self._may_serve_ranges(self.source)
        skip_limit = self._size - self._skipped if skips else 0
        if not self._sources.ignores_ranges:  # another server behind the same name may serve ranges: try once more
            skip_limit = min(skip_limit, CHEAP_SKIP_BYTES)
        return self._begin(*interval, skip_limit, now)

    def _may_serve_ranges(self, source: int) -> bool:
        """Tell whether to try a source again for another server behind its name: if it has served ranges before."""
        return self._sources.has_served_ranges(source) and not self.retries.is_out_of_attempts

    def _begin(self, start: int, end: int, skip_limit: int, now: float, *, check_bytes: int = 0) -> Fetch:
        without_range = self._sources.refuses_ranges
        fetch = Fetch(self.source, start, end, skip_limit, check_bytes=check_bytes, without_range=without_range)
        return self._spread.begin(fetch, now)

    # --- reports --------------------------------------------------------------------------------------------

    def fetched(self, fetch: Fetch, held: Ranges, ended: Ended, *, now: float) -> None:
        """Report the end of a `Fetch`, whose `position` says how far it came.

        Args:
            fetch: The fetch.
            held: The bytes that the ingest holds now.
            ended: How it ended.
            now: Monotonic time, in seconds.

        Raises:
            OutOfOrderError: The fetch is not running.
        """
        if not any(fetch is each for each in self._spread.running):
            raise OutOfOrderError("a report of a fetch that is not under way")
        rate = ended.flowed_bytes / ended.seconds if ended.seconds > 0 else 0.0
        self._spread.ended(fetch, rate=rate, now=now)
        new_bytes = fetch.position - fetch.offset
        self._held = held
        self._skipped += ended.skipped
        error = ended.error
        if self._note_ranges(fetch, ended):
            return  # the source ignores ranges, and will be asked for the whole blob
        self.retries.progressed(new_bytes, flowed_bytes=ended.flowed_bytes, seconds=ended.seconds, now=now)
        self._doubts.said(fetch, differs=ended.differs)
        if new_bytes > 0:
            self._sources.brought()
        if fetch.position >= fetch.end:
            error = None  # it was complete, or others had taken over the rest of it
        elif error is None and new_bytes == 0:
            error = MisbehavedError("", "an answer without a single new byte")
        if error is not None and (self._spread.running or not self._is_to_be_verified()):
            self._failed(fetch, error, new_bytes, now)

    def _note_ranges(self, fetch: Fetch, ended: Ended) -> bool:
        """Note whether a source honours ranges; return True if that was all the request has brought."""
        if not ended.ignored_range:
            if fetch.position > fetch.offset > 0:
                self._sources.served_range(fetch.source)
            return False
        is_known = self._sources.ignored_range(fetch.source)
        if not isinstance(ended.error, RangeIgnoredError):
            return False
        ended.error.retryable = self._may_serve_ranges(fetch.source)
        is_asked_for_ranges_again = ended.error.retryable and not self._doubts.have_begun and not self._spread.running
        return not is_known and not is_asked_for_ranges_again

    def _failed(self, fetch: Fetch, error: HeadwayError, new_bytes: int, now: float) -> None:
        if isinstance(error, StoreError):
            self._next = GiveUp(error)  # the disk is on our side: another request would not help
            return
        self._sources.failed(fetch.source, error)
        if self._spread.running:
            self._failed_beside_others(fetch.source, error, new_bytes, now)
            return
        self._sources.current = fetch.source
        self._cause = error
        self._sources.count(error, may_serve_ranges=self._may_serve_ranges(fetch.source))
        others = self._sources.others()
        if self._unmended is not None:
            others = self._who_said_less(others)
        if not error.retryable and others:
            self._sources.leave(self.source)  # another source may have the blob
            self._turn_to(others)
            return
        decision = self.retries.failed(error, now=now, brought_bytes=new_bytes > 0)
        if self._unmended is not None and (isinstance(decision, GiveUp) or self.retries.is_out_of_attempts):
            self._wrong(self._unmended)
            return
        if isinstance(decision, GiveUp):
            self._next = decision
            return
        self._sources.not_before(self.source, now + decision.seconds)
        # A source that was cut goes on. One that fell silent may do so again and again: ask another one first.
        silent = isinstance(error, UnreachableError) and error.fault is Fault.STALLED
        self._turn_to([self.source] if new_bytes > 0 and not silent else [*others, self.source])

    def _failed_beside_others(self, source: int, error: HeadwayError, new_bytes: int, now: float) -> None:
        if isinstance(error, ThrottledError):
            self._sources.ask_from(source, now + (error.retry_after_seconds or PAUSE_SECONDS))
            self._cause = error
        if new_bytes < FLOW_BYTES:
            self._stream_limit.refused(error, running=len(self._spread.running), now=now)

    def _turn_to(self, sources: list[int]) -> None:
        """Make the source among `sources` that may be asked soonest the current one."""
        self._sources.turn_to(sources)
        if self._unmended is not None:
            self._doubts.ask(self.source)

    def returned(self, failure: HeadwayError, *, now: float) -> None:
        """Report that the source of one of `failures` can be connected to again; it is asked now."""
        source = next(source for source, error in self._sources.failures.items() if error is failure)
        self._sources.ask_from(source, now)
        self._turn_to([source])

    def verified(self, *, error: HeadwayError | None, failed_at: int | None = None) -> None:
        """Report the end of a `Verify`.

        Args:
            error: How the digest differs; None if it is right.
            failed_at: Offset in the blob at which unpacking it failed; None if it did not fail.

        Raises:
            OutOfOrderError: No `Verify` is running.
        """
        self._expect(Verify)
        if error is None:
            self._next = Commit()
            return
        if not self._doubts.have_begun:
            self._turn_to(self._sources.others() or [self.source])
        self._doubts.wrong(failed_at)
        self._cause = error
        if self._doubts.are_over:
            self._ask_who_said_less(error)

    def _ask_who_said_less(self, error: HeadwayError) -> None:
        """Ask the sources that have not vouched for every byte: the one that sent wrong bytes may always send them."""
        sources = self._who_said_less([*self._sources.others(), self.source])
        if not sources or self.retries.is_out_of_attempts:
            self._wrong(error)
            return
        self._unmended = error
        self._turn_to(sources)

    def _who_said_less(self, sources: list[int]) -> list[int]:
        """Return the sources that have not yet sent or compared every byte."""
        return [source for source in sources if self._doubts.unsaid_by(source)]

    def _wrong(self, error: HeadwayError) -> None:
        self._next, self._end = SetAside(), GiveUp(error)

    def emptied(self) -> None:
        """Report the end of a `SetAside`.

        Raises:
            OutOfOrderError: No `SetAside` is running.
        """
        self._expect(SetAside)
        self._held = Ranges()
        self._next = self._end

    def _expect(self, kind: type[Verify | SetAside]) -> None:
        if not isinstance(self._under_way, kind):
            raise OutOfOrderError(f"a report of {kind.__name__} while {type(self._under_way).__name__} is under way")
        self._under_way = None
