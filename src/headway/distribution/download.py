"""Sans-I/O download of one blob.

Rule 1: every decision about ranges, restarts, sources and giving up is in this file and in `backoff`.
Rule 2: this file does not know what a URL, a file or a clock is.
Rule 3: what is held is what the ingest says; the machine never counts bytes by itself.
Rule 4: nothing held is given up before the whole blob was seen to have another digest.
"""

from __future__ import annotations

import math
from enum import Enum, auto

import msgspec

from headway.distribution.backoff import GiveUp, Retries, Wait
from headway.distribution.ranges import Ranges
from headway.errors import HeadwayError, MisbehavedError, OutOfOrderError, StoreError

MAX_MISMATCHES = 2


class Fetch(msgspec.Struct, frozen=True):
    """Request the bytes from `offset` up to `end` from a source, and report with `BlobDownload.fetched`.

    Attributes:
        source: Index of the source to ask.
        offset: First byte that is missing.
        end: End of the gap.
        skip_limit: How many held bytes a server that ignores ranges may send again before it is stopped.
    """

    source: int
    offset: int
    end: int
    skip_limit: int


class Verify(msgspec.Struct, frozen=True):
    """Every byte is held: compare the digest of the whole, and report with `BlobDownload.verified`."""


class SetAside(msgspec.Struct, frozen=True):
    """The digest is wrong: count nothing as held, and report with `BlobDownload.emptied`."""


class Commit(msgspec.Struct, frozen=True):
    """Every byte is here and right. There is nothing to report."""


Action = Fetch | Wait | Verify | SetAside | Commit | GiveUp


class _State(Enum):
    READY = auto()
    FETCHING = auto()
    VERIFYING = auto()
    WRONG = auto()
    EMPTYING = auto()
    RIGHT = auto()
    FAILED = auto()


class BlobDownload:
    """Decide what to do next while one blob is fetched, without doing it.

    The caller performs each action and reports what happened. A crash between an action and its report is safe:
    start again with the bytes that are held.

    Args:
        size: Size promised by the descriptor, in bytes.
        held: Bytes that an earlier attempt left in the ingest.
        sources: How many sources there are, at least one; they are tried in order.
        retries: Decides whether and when to try again.
    """

    def __init__(self, size: int, held: Ranges, *, sources: int, retries: Retries) -> None:
        self._size = size
        self._held = held
        self._source = 0
        self._due = [-math.inf] * sources  # when each may be asked again; infinity where it will not mend
        self._now = -math.inf
        self._retries = retries
        self._state = _State.READY
        self._skipped = 0
        self._mismatches = 0
        self._wait: Wait | None = None
        self._error: HeadwayError | None = None

    def next_action(self) -> Action:
        """Return the action to perform now. A `Wait` is due once: the action after it follows when it has passed.

        Raises:
            OutOfOrderError: The action before has not been reported.
        """
        match self._state:
            case _State.FAILED if self._error is not None:
                return GiveUp(self._error)
            case _State.RIGHT:
                return Commit()
            case _State.WRONG:
                self._state = _State.EMPTYING
                return SetAside()
            case _State.READY:
                return self._proceed()
            case _:
                raise OutOfOrderError(f"next_action while {self._state.name}")

    def _proceed(self) -> Action:
        if self._wait is not None:
            wait, self._wait = self._wait, None
            return wait
        gap = next(self._held.gaps(self._size), None)
        if gap is None:
            self._state = _State.VERIFYING
            return Verify()
        self._state = _State.FETCHING
        return Fetch(self._source, *gap, skip_limit=self._size - self._skipped)

    def fetched(
        self,
        held: Ranges,
        *,
        flowed_bytes: int,
        skipped: int,
        seconds: float,
        now: float,
        error: HeadwayError | None = None,
    ) -> None:
        """Report the end of a `Fetch`.

        Args:
            held: What the ingest holds now.
            flowed_bytes: Bytes of the body that arrived.
            skipped: Those of them that were held already.
            seconds: How long the body flowed.
            now: Monotonic time, in seconds.
            error: Why it ended early; None where the body ended by itself.

        Raises:
            OutOfOrderError: No `Fetch` is under way.
        """
        self._expect(_State.FETCHING)
        new_bytes = held.total - self._held.total
        self._held = held
        self._now = now
        self._skipped += skipped
        self._state = _State.READY
        self._retries.progressed(new_bytes, flowed_bytes=flowed_bytes, seconds=seconds, now=now)
        if error is None and new_bytes == 0:
            error = MisbehavedError("", "an answer without a single new byte")
        if error is not None and next(held.gaps(self._size), None) is not None:
            self._failed(error, brought_bytes=new_bytes > 0)

    def _failed(self, error: HeadwayError, *, brought_bytes: bool) -> None:
        if isinstance(error, StoreError):
            self._give_up(error)  # another request would fill no disk less
            return
        others = self._others()
        if not error.retryable and others:
            self._due[self._source] = math.inf  # the next source may have the blob all the same
            self._turn_to(others, error)
            return
        decision = self._retries.failed(error, now=self._now, brought_bytes=brought_bytes)
        if isinstance(decision, GiveUp):
            self._give_up(decision.error)
            return
        self._due[self._source] = self._now + decision.seconds
        self._turn_to([self._source] if brought_bytes else [*others, self._source], error)

    def _others(self) -> list[int]:
        """Return the sources that may have the blob, those behind this one first, without this one."""
        count = len(self._due)
        order = [(self._source + step) % count for step in range(1, count)]
        return [source for source in order if self._due[source] < math.inf]

    def _turn_to(self, sources: list[int], error: HeadwayError) -> None:
        """Ask the one that may be asked soonest next, and not before that."""
        self._source = min(sources, key=lambda source: self._due[source])
        seconds = self._due[self._source] - self._now
        if seconds >= 0:
            self._wait = Wait(seconds, error, self._retries.attempts)

    def verified(self, *, error: HeadwayError | None) -> None:
        """Report the end of a `Verify`: the digest is right, or `error` says how it differs.

        Raises:
            OutOfOrderError: No `Verify` is under way.
        """
        self._expect(_State.VERIFYING)
        if error is None:
            self._state = _State.RIGHT
            return
        self._mismatches += 1
        if self._mismatches >= MAX_MISMATCHES:
            self._error = error
        self._state = _State.WRONG
        self._turn_to(self._others() or [self._source], error)

    def emptied(self) -> None:
        """Report the end of a `SetAside`.

        Raises:
            OutOfOrderError: No `SetAside` is under way.
        """
        self._expect(_State.EMPTYING)
        self._held = Ranges()
        self._skipped = 0
        # Given up or not: wrong bytes are never left behind as if they were kept.
        self._state = _State.READY if self._error is None else _State.FAILED

    def _give_up(self, error: HeadwayError) -> None:
        self._error = error
        self._state = _State.FAILED

    def _expect(self, state: _State) -> None:
        if self._state is not state:
            raise OutOfOrderError(f"a report of {state.name} while {self._state.name}")


def check_skip(fetch: Fetch, body_start: int, endpoint: str) -> int:
    """Return how many bytes of a body to skip before the first one that is wanted.

    A server that ignores ranges starts at 0. Its answer is used as long as all that was sent twice stays below the
    size of the blob, so that the whole costs at most twice its bytes.

    Raises:
        MisbehavedError: Skipping would cost more than that.
    """
    skip = fetch.offset - body_start
    if skip > fetch.skip_limit:
        raise RangeIgnoredError(endpoint)
    return skip


class RangeIgnoredError(MisbehavedError):
    """The server ignores ranges, and going on would send everything more than twice."""

    retryable = False

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, "ignores Range requests: each cut would send the whole layer again")
