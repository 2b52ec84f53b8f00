"""Sans-I/O download of one blob.

Rule 1: every decision about ranges, restarts, sources, repairs and giving up is in this file, in `sources`, `backoff`,
        `skipping` and `suspects`; how many streams there may be is decided in `streams` and `stream_limit`, and where
        they work in `spread`.
Rule 2: this file does not know what a URL, a file or a clock is.
Rule 3: what is held is what the ingest says; the machine never counts bytes by itself.
Rule 4: nothing held is asked for again before the whole blob was seen to have another digest, and then only as much
        of it as it takes to find the damage.
Rule 5: a stream that fails while others go on costs only itself.
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

CHEAP_SKIP_BYTES = 1 << 20  # some times what is on its way when a connection is left: asking once more costs that


class Verify(msgspec.Struct, frozen=True):
    """Every byte is held: compare the digest of the whole, and report with `BlobDownload.verified`."""


class SetAside(msgspec.Struct, frozen=True):
    """The bytes are wrong and nobody has better ones: count nothing as held, report with `BlobDownload.emptied`."""


class Commit(msgspec.Struct, frozen=True):
    """Every byte is here and right. There is nothing to report."""


Action = Fetch | Wait | Verify | SetAside | Commit | GiveUp


class Ended(msgspec.Struct, frozen=True):
    """How a `Fetch` ended.

    Attributes:
        flowed_bytes: Bytes of the body that arrived.
        skipped: Those of them that were in front of what was asked for.
        seconds: How long the body flowed.
        ignored_range: Whether everything was sent where a part was asked for.
        differs: Whether a comparison found that what is held was wrong.
        error: Why it ended early; None where the body ended by itself, or the `Fetch` was at its end.
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
        self._next: Action | None = None  # None to fetch what is missing, or verify it
        self._end: GiveUp | None = None  # what follows a `SetAside`
        self._under_way: Verify | SetAside | None = None
        self._spread = Spread(size)
        self._stream_limit = StreamLimit()
        self._skipped = 0
        self._doubts = Doubts(size, held, sources)
        self._unmended: HeadwayError | None = None  # the wrong digest, from when only those are asked who said less
        self._cause: HeadwayError | None = None

    @property
    def running(self) -> list[Fetch]:
        """The requests under way."""
        return self._spread.running

    @property
    def source(self) -> int:
        """Index of the source that is asked now."""
        return self._sources.current

    @property
    def failures(self) -> list[HeadwayError]:
        """Why each source was left that has been since the last new byte, the latest last."""
        return list(self._sources.failures.values())

    def next_action(self, *, now: float, streams: int = 1) -> Action | None:
        """Return an action to perform now; None where there is nothing to do before a report, or before time passes.

        Args:
            now: Monotonic time, in seconds.
            streams: How many requests may be under way.

        Raises:
            OutOfOrderError: `Verify` or `SetAside` has not been reported.
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
        if not cause.retryable:  # nobody waits for that: it is why another source was left
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
        # Of a server that ignores ranges, one that is asked beside others is no help at all.
        skips = not self._spread.running and not self._may_serve_ranges(self.source)
        skip_limit = self._size - self._skipped if skips else 0
        if not self._sources.ignores_ranges:  # another server behind its name may serve them: it is asked once more
            skip_limit = min(skip_limit, CHEAP_SKIP_BYTES)
        return self._begin(*interval, skip_limit, now)

    def _may_serve_ranges(self, source: int) -> bool:
        """Tell whether another of the servers behind a source is worth waiting for: it has served ranges before."""
        return self._sources.has_served_ranges(source) and not self.retries.is_out_of_attempts

    def _begin(self, start: int, end: int, skip_limit: int, now: float, *, check_bytes: int = 0) -> Fetch:
        without_range = self._sources.refuses_ranges
        fetch = Fetch(self.source, start, end, skip_limit, check_bytes=check_bytes, without_range=without_range)
        return self._spread.begin(fetch, now)

    # --- reports --------------------------------------------------------------------------------------------

    def fetched(self, fetch: Fetch, held: Ranges, ended: Ended, *, now: float) -> None:
        """Report the end of a `Fetch`; its `position` is what it has come to.

        Args:
            fetch: Which.
            held: What the ingest holds now.
            ended: How it ended.
            now: Monotonic time, in seconds.

        Raises:
            OutOfOrderError: It is not under way.
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
            return  # it was asked for a part, and will be asked for the whole
        self.retries.progressed(new_bytes, flowed_bytes=ended.flowed_bytes, seconds=ended.seconds, now=now)
        self._doubts.said(fetch, differs=ended.differs)
        if new_bytes > 0:
            self._sources.brought()
        if fetch.position >= fetch.end:
            error = None  # it was at its end, or others had taken over all that was before it
        elif error is None and new_bytes == 0:
            error = MisbehavedError("", "an answer without a single new byte")
        if error is not None and (self._spread.running or not self._is_to_be_verified()):
            self._failed(fetch, error, new_bytes, now)

    def _note_ranges(self, fetch: Fetch, ended: Ended) -> bool:
        """Take note of what a source does with ranges; tell whether the request was good for nothing else."""
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
            self._next = GiveUp(error)  # another request would fill no disk less
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
            self._sources.leave(self.source)  # the next source may have the blob all the same
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
        # Who was cut goes on; who fell silent may do so again after each few bytes, and others may not.
        silent = isinstance(error, UnreachableError) and error.fault is Fault.STALLED
        self._turn_to([self.source] if new_bytes > 0 and not silent else [*others, self.source])

    def _failed_beside_others(self, source: int, error: HeadwayError, new_bytes: int, now: float) -> None:
        if isinstance(error, ThrottledError):
            self._sources.ask_from(source, now + (error.retry_after_seconds or PAUSE_SECONDS))
            self._cause = error
        if new_bytes < FLOW_BYTES:
            self._stream_limit.refused(error, running=len(self._spread.running), now=now)

    def _turn_to(self, sources: list[int]) -> None:
        """Ask the one that may be asked soonest next."""
        self._sources.turn_to(sources)
        if self._unmended is not None:
            self._doubts.ask(self.source)

    def returned(self, failure: HeadwayError, *, now: float) -> None:
        """Report that the source that one of `failures` is of can be connected to again: it is asked now."""
        source = next(source for source, error in self._sources.failures.items() if error is failure)
        self._sources.ask_from(source, now)
        self._turn_to([source])

    def verified(self, *, error: HeadwayError | None, failed_at: int | None = None) -> None:
        """Report the end of a `Verify`: the digest is right, or `error` says how it differs.

        Args:
            error: None where it is right.
            failed_at: How far the blob had been read when unpacking it failed; None where it did not.

        Raises:
            OutOfOrderError: No `Verify` is under way.
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
        """Let nobody settle alone that bytes are wrong for good: whoever sent them first may do so each time."""
        sources = self._who_said_less([*self._sources.others(), self.source])
        if not sources or self.retries.is_out_of_attempts:
            self._wrong(error)
            return
        self._unmended = error
        self._turn_to(sources)

    def _who_said_less(self, sources: list[int]) -> list[int]:
        """Return those that have not sent or compared every byte."""
        return [source for source in sources if self._doubts.unsaid_by(source)]

    def _wrong(self, error: HeadwayError) -> None:
        self._next, self._end = SetAside(), GiveUp(error)

    def emptied(self) -> None:
        """Report the end of a `SetAside`.

        Raises:
            OutOfOrderError: No `SetAside` is under way.
        """
        self._expect(SetAside)
        self._held = Ranges()
        self._next = self._end

    def _expect(self, kind: type[Verify | SetAside]) -> None:
        if not isinstance(self._under_way, kind):
            raise OutOfOrderError(f"a report of {kind.__name__} while {type(self._under_way).__name__} is under way")
        self._under_way = None
