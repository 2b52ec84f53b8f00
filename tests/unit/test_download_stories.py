"""Downloads of blobs of many megabytes over links and from sources that do anything, on virtual time.

A blob has no bytes here: it is enough to know which of them are held, and which of those are wrong.
"""

from __future__ import annotations

import math

from hypothesis import event, given, settings
from hypothesis import strategies as st

from headway.distribution.backoff import MAX_ASKED_SECONDS, GiveUp, Retries, RetryPolicy, Wait
from headway.distribution.download import (
    BlobDownload,
    Commit,
    Ended,
    SetAside,
    Verify,
)
from headway.distribution.ranges import Ranges
from headway.distribution.skipping import RangeIgnoredError, check_skip
from headway.distribution.spread import Fetch
from headway.errors import (
    DigestMismatchError,
    Fault,
    HeadwayError,
    MisbehavedError,
    NotFoundError,
    RefusedError,
    StoreFullError,
    ThrottledError,
    UnavailableError,
    UnreachableError,
)

MIB = 1 << 20
MAX_SIZE = 12 * MIB
CUT = UnreachableError("r", Fault.CUT)
MISMATCH = DigestMismatchError("the blob", "a", "b")
IN_A_BODY: list[HeadwayError] = [CUT, UnreachableError("r", Fault.STALLED), StoreFullError("/data")]
BEFORE_IT: list[HeadwayError] = [
    CUT,
    UnreachableError("r", Fault.TIMEOUT),
    UnreachableError("r", Fault.CERTIFICATE),
    RefusedError("r", 403),
    NotFoundError("blob", "b"),
    ThrottledError("r", 7.0),
    ThrottledError("r", 700.0),
    ThrottledError("r", None),
    UnavailableError("r", 503, 90.0),
    UnavailableError("r", 500),
    MisbehavedError("r", "answers HTTP 416"),
]


class Body:
    """An answer on its way.

    Args:
        fetch: What was asked for.
        skip: Bytes that come in front of it.
        now: When it begins.
    """

    def __init__(self, fetch: Fetch, *, skip: int, now: float) -> None:
        self.fetch = fetch
        self.began = now
        self.ignored_range = skip > 0
        self.to_skip = skip
        self.flowed = self.skipped = 0
        self.stop_at: int | None = None

    @property
    def end(self) -> int:
        return self.fetch.end if self.stop_at is None else min(self.fetch.end, self.stop_at)

    def ended(self, error: HeadwayError | None, now: float) -> Ended:
        return Ended(
            self.flowed,
            self.skipped,
            now - self.began,
            ignored_range=self.ignored_range,
            differs=self.stop_at is not None,
            error=error,
        )


class World:
    """A blob, its ingest, its sources and the time, driven by a machine.

    Args:
        data: Draws what happens.
        attempts: For the policy.
        patience: For the policy, in seconds.
        generous: Every source always brings a good part of what was asked for, and the right bytes.
    """

    def __init__(self, data: st.DataObject, *, attempts: int, patience: float, generous: bool = False) -> None:
        self.draw = data.draw
        self.generous = generous
        self.size = self.draw(st.one_of(st.integers(0, 3 * MIB), st.integers(0, MAX_SIZE)))
        self.held = Ranges()
        for low, high in self.draw(st.lists(st.tuples(st.integers(0, self.size), st.integers(0, self.size)))):
            self.held.add(min(low, high), max(low, high))
        self.wrong: set[int] = set()
        self.sources = self.draw(st.integers(1, 3))
        self.now = self.draw(st.floats(0, 1e6))
        self.not_before = [-math.inf] * self.sources
        self.bodies: list[Body] = []
        self.barren = self.skipped = self.compared = 0
        self.is_doubted = self.ranges_ignored = False
        retries = Retries(RetryPolicy(attempts, patience), now=self.now, jitter=lambda: self.draw(st.floats(0, 1)))
        self.machine = BlobDownload(self.size, self.held.copy(), sources=self.sources, retries=retries)

    def live(self, *, limit: int = 200) -> Commit | GiveUp | None:
        """Do what the machine says until it ends; None where it had not ended after `limit` steps."""
        for _ in range(limit):
            match self.machine.next_action(now=self.now, streams=self.draw(st.integers(1, 4))):
                case Fetch() as fetch:
                    self.ask(fetch)
                case None:
                    self.let_something_happen()
                case Wait(seconds):
                    assert seconds > 0
                    self.now += self.draw(st.sampled_from([seconds, seconds / 2]))
                case Verify():
                    assert not self.bodies
                    assert self.held.total == self.size
                    self.is_doubted |= bool(self.wrong)
                    failed_at = self.draw(st.none() | st.integers(0, self.size))
                    self.machine.verified(error=MISMATCH if self.wrong else None, failed_at=failed_at)
                case SetAside():
                    self.held = Ranges()
                    self.machine.emptied()
                case Commit() | GiveUp() as end:
                    return end
        return None

    def ask(self, fetch: Fetch) -> None:
        assert 0 <= fetch.offset < fetch.end <= self.size
        assert self.now >= self.not_before[fetch.source] - 1e-6
        if fetch.check_bytes:
            assert self.is_doubted
            assert not self.bodies
        else:
            assert list(self.held.gaps_between(fetch.offset, fetch.end)) == [(fetch.offset, fetch.end)]
            others = [body.fetch for body in self.bodies if body.fetch.position < body.fetch.end]
            assert all(fetch.end <= other.position or other.end <= fetch.offset for other in others)
        start = 0 if not self.generous and self.draw(st.integers(0, 3)) == 0 else fetch.offset
        self.ranges_ignored |= start < fetch.offset
        try:
            self.bodies.append(Body(fetch, skip=check_skip(fetch, start, "r"), now=self.now))
        except RangeIgnoredError as error:
            self.report(fetch, Ended(ignored_range=True, error=error))

    def let_something_happen(self) -> None:
        """Let a body go on, or end."""
        assert self.bodies
        self.now += self.draw(st.integers(0, 20_000)) / 1000
        body = self.draw(st.sampled_from(self.bodies))
        share = self.draw(st.sampled_from([0.25, 0.5, 1.0] if self.generous else [0.0, 0.01, 0.5, 1.0]))
        self.bring(body, math.ceil(share * (body.to_skip + max(0, body.end - body.fetch.position))))
        if body.fetch.position >= body.end:
            self.finish(body, None)
        elif self.draw(st.booleans()):
            errors = [CUT] if self.generous else IN_A_BODY if body.flowed else BEFORE_IT
            self.finish(body, self.draw(st.none() | st.sampled_from(errors)))

    def bring(self, body: Body, count: int) -> None:
        skip = min(count, body.to_skip)
        body.to_skip -= skip
        body.skipped += skip
        body.flowed += count
        fetch, start = body.fetch, body.fetch.position
        end = min(start + count - skip, max(start, body.end))
        fresh = set()
        if end > start and not self.generous and self.draw(st.integers(0, 9)) == 0:
            fresh.add(self.draw(st.integers(start, end - 1)))
        here = {offset for offset in self.wrong if start <= offset < end}
        if fetch.check_bytes and body.stop_at is None and here != fresh:
            body.stop_at = start + fetch.check_bytes
        self.wrong = (self.wrong - here) | fresh
        self.held.add(start, end)
        fetch.position = end

    def finish(self, body: Body, error: HeadwayError | None) -> None:
        self.bodies.remove(body)
        self.skipped += body.skipped
        if body.fetch.check_bytes:
            self.compared += body.fetch.position - body.fetch.offset
        self.report(body.fetch, body.ended(error, self.now))

    def report(self, fetch: Fetch, ended: Ended) -> None:
        error = ended.error
        if fetch.position > fetch.offset:
            self.barren = 0
        elif not self.bodies and fetch.position < fetch.end and not isinstance(error, RangeIgnoredError):
            self.barren += error is None or error.retryable
        if isinstance(error, ThrottledError | UnavailableError) and (
            not self.bodies or isinstance(error, ThrottledError)
        ):
            self.not_before[fetch.source] = self.now + (error.retry_after_seconds or 0.0)
        self.machine.fetched(fetch, self.held.copy(), ended, now=self.now)


@settings(max_examples=200, deadline=None)
@given(st.data(), st.integers(1, 6), st.sampled_from([0.0, 0.0, 600.0, math.inf]))
def test_no_story_asks_for_held_bytes_or_commits_wrong_ones(
    data: st.DataObject, attempts: int, patience: float
) -> None:
    world = World(data, attempts=attempts, patience=patience)

    end = world.live()

    event(f"{type(end).__name__}, {'doubted' if world.is_doubted else 'never doubted'}")
    if isinstance(end, Commit):
        assert world.held.total == world.size
        assert not world.wrong
    if isinstance(end, GiveUp) and isinstance(end.error, DigestMismatchError):
        # Wrong bytes are kept only where somebody could say which they are, and asks for too long a wait.
        assert world.held.total == 0 or max(world.not_before) - world.now > MAX_ASKED_SECONDS
    assert world.skipped <= world.size
    assert world.compared <= world.size * world.sources * (2 if world.ranges_ignored else 1)
    if patience == 0:
        assert world.barren <= attempts


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 6), st.sampled_from([0.0, 600.0, math.inf]))
def test_where_every_request_brings_a_good_part_the_blob_completes(
    data: st.DataObject, attempts: int, patience: float
) -> None:
    world = World(data, attempts=attempts, patience=patience, generous=True)

    end = world.live(limit=2000)

    assert end == Commit()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_one_flipped_byte_is_repaired_from_a_source_that_has_it_right(data: st.DataObject) -> None:
    world = World(data, attempts=5, patience=0.0, generous=True)
    if world.size:
        world.wrong.add(data.draw(st.integers(0, world.size - 1)))
        world.held.add(min(world.wrong), min(world.wrong) + 1)
        world.machine = BlobDownload(
            world.size, world.held.copy(), sources=world.sources, retries=world.machine.retries
        )

    end = world.live(limit=2000)

    assert end == Commit()
    assert not world.wrong
    assert world.skipped + world.compared <= world.size
