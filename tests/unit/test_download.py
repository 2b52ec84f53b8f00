"""The download of one blob, decided without doing it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from headway.distribution.backoff import GiveUp, Retries, RetryPolicy, Wait
from headway.distribution.download import (
    Action,
    BlobDownload,
    Commit,
    Fetch,
    RangeIgnoredError,
    SetAside,
    Verify,
    check_skip,
)
from headway.distribution.ranges import Ranges
from headway.errors import (
    DigestMismatchError,
    Fault,
    GaveUpError,
    HeadwayError,
    MisbehavedError,
    NotFoundError,
    OutOfOrderError,
    RefusedError,
    StoreFullError,
    ThrottledError,
    UnavailableError,
    UnreachableError,
)

SIZE = 100
CUT = UnreachableError("r", Fault.CUT)
MISMATCH = DigestMismatchError("the blob", "a", "b")


def download(
    *held: tuple[int, int], size: int = SIZE, sources: int = 1, attempts: int = 5, patience: float = 0.0
) -> BlobDownload:
    retries = Retries(RetryPolicy(attempts, patience), now=0.0, jitter=lambda: 0.0)
    return BlobDownload(size, Ranges(held), sources=sources, retries=retries)


def report(
    machine: BlobDownload,
    *held: tuple[int, int],
    error: HeadwayError | None = None,
    now: float = 0.0,
    flowed: int = 0,
    skipped: int = 0,
) -> Action:
    """Report a fetch that left `held` in the ingest; return what follows."""
    machine.fetched(Ranges(held), flowed_bytes=flowed, skipped=skipped, seconds=1.0, now=now, error=error)
    return machine.next_action()


def verify(machine: BlobDownload, *, error: HeadwayError | None) -> Action:
    """Report a digest; return what follows."""
    machine.verified(error=error)
    return machine.next_action()


def empty(machine: BlobDownload) -> Action:
    """Report that the ingest is empty; return what follows."""
    machine.emptied()
    return machine.next_action()


# --- one state after another ------------------------------------------------------------------------------------


def fetching() -> BlobDownload:
    machine = download()
    machine.next_action()
    return machine


def verifying() -> BlobDownload:
    machine = download((0, SIZE))
    machine.next_action()
    return machine


def wrong() -> BlobDownload:
    machine = verifying()
    machine.verified(error=MISMATCH)
    return machine


def emptying() -> BlobDownload:
    machine = wrong()
    machine.next_action()
    return machine


def right() -> BlobDownload:
    machine = verifying()
    machine.verified(error=None)
    return machine


def failed() -> BlobDownload:
    machine = fetching()
    report(machine, error=RefusedError("r", 403))
    return machine


STATES: dict[str, Callable[[], BlobDownload]] = {
    "ready": download,
    "fetching": fetching,
    "verifying": verifying,
    "wrong": wrong,
    "emptying": emptying,
    "right": right,
    "failed": failed,
}

EVENTS: dict[str, Callable[[BlobDownload], object]] = {
    "next": BlobDownload.next_action,
    "fetched": lambda machine: report(machine, (0, SIZE)),
    "verified": lambda machine: verify(machine, error=None),
    "emptied": empty,
}

ALLOWED: dict[tuple[str, str], Action] = {
    ("ready", "next"): Fetch(0, 0, SIZE, SIZE),
    ("fetching", "fetched"): Verify(),
    ("verifying", "verified"): Commit(),
    ("wrong", "next"): SetAside(),
    ("emptying", "emptied"): Fetch(0, 0, SIZE, SIZE),
    ("right", "next"): Commit(),
    ("failed", "next"): GiveUp(RefusedError("r", 403)),
}


@pytest.mark.parametrize(("state", "event"), ALLOWED)
def test_each_report_leads_to_one_action(state: str, event: str) -> None:
    machine = STATES[state]()

    action = EVENTS[event](machine)

    assert repr(action) == repr(ALLOWED[state, event])


@pytest.mark.parametrize(
    ("state", "event"), [(state, event) for state in STATES for event in EVENTS if (state, event) not in ALLOWED]
)
def test_a_report_out_of_order_is_our_bug(state: str, event: str) -> None:
    machine = STATES[state]()

    with pytest.raises(OutOfOrderError):
        EVENTS[event](machine)


@pytest.mark.parametrize("state", ["right", "failed"])
def test_an_end_stays_the_end(state: str) -> None:
    machine = STATES[state]()

    assert repr(machine.next_action()) == repr(machine.next_action())


# --- which bytes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "action"),
    [
        ([], Fetch(0, 0, SIZE, SIZE)),
        ([(0, 40)], Fetch(0, 40, SIZE, SIZE)),
        ([(10, 40)], Fetch(0, 0, 10, SIZE)),
        ([(0, 10), (20, 30)], Fetch(0, 10, 20, SIZE)),
        ([(0, SIZE)], Verify()),
    ],
)
def test_the_first_gap_is_fetched(held: list[tuple[int, int]], action: Action) -> None:
    assert download(*held).next_action() == action


def test_an_empty_blob_needs_no_request() -> None:
    assert download(size=0).next_action() == Verify()


def test_after_a_gap_the_next_one_is_fetched_without_a_pause() -> None:
    machine = download((10, 40))
    machine.next_action()

    assert report(machine, (0, 40), flowed=10) == Fetch(0, 40, SIZE, SIZE)


def test_a_cut_after_the_last_byte_is_no_failure() -> None:
    assert report(fetching(), (0, SIZE), error=CUT) == Verify()


def test_a_cut_asks_for_the_rest_only() -> None:
    machine = fetching()

    assert report(machine, (0, 60), error=CUT, flowed=60) == Wait(0.0, CUT, 0)
    assert machine.next_action() == Fetch(0, 60, SIZE, SIZE)


def test_a_body_that_ends_by_itself_too_early_is_asked_for_the_rest() -> None:
    assert report(fetching(), (0, 60), flowed=60) == Fetch(0, 60, SIZE, SIZE)


def test_an_answer_without_a_new_byte_counts_as_a_failure() -> None:
    action = report(fetching())

    assert isinstance(action, Wait)
    assert isinstance(action.cause, MisbehavedError)
    assert action.attempts == 1


# --- servers that ignore ranges ---------------------------------------------------------------------------------


def test_what_is_sent_twice_is_taken_off_what_may_be_sent_twice() -> None:
    machine = download((0, 30))
    machine.next_action()

    report(machine, (0, 50), error=CUT, flowed=50, skipped=30)
    action = machine.next_action()

    assert action == Fetch(0, 50, SIZE, skip_limit=70)
    assert check_skip(action, 0, "r") == 50


@pytest.mark.parametrize(("start", "limit", "skip"), [(50, 0, 0), (0, 50, 50), (49, 1, 1)])
def test_a_body_that_starts_early_is_skipped(start: int, limit: int, skip: int) -> None:
    assert check_skip(Fetch(0, 50, SIZE, limit), start, "r") == skip


def test_skipping_more_than_the_size_is_refused_for_good() -> None:
    with pytest.raises(RangeIgnoredError, match="ignores Range") as caught:
        check_skip(Fetch(0, 50, SIZE, 49), 0, "r")

    assert not caught.value.retryable


def test_when_everything_was_set_aside_it_may_be_sent_twice_again() -> None:
    machine = download((0, 30))
    machine.next_action()
    report(machine, (0, SIZE), flowed=SIZE, skipped=30)
    machine.verified(error=MISMATCH)
    machine.next_action()
    machine.emptied()

    assert machine.next_action() == Fetch(0, 0, SIZE, skip_limit=SIZE)


# --- giving up --------------------------------------------------------------------------------------------------


def run(machine: BlobDownload, error: HeadwayError, *, limit: int = 1000) -> tuple[list[Fetch], list[float], float]:
    """Let every fetch fail; return the fetches, the waits and the time it took, in seconds."""
    fetches: list[Fetch] = []
    waits: list[float] = []
    now = 0.0
    while len(fetches) < limit:
        match machine.next_action():
            case Fetch() as fetch:
                fetches.append(fetch)
                machine.fetched(Ranges(), flowed_bytes=0, skipped=0, seconds=0.0, now=now, error=error)
            case Wait(seconds):
                waits.append(seconds)
                now += seconds
            case _:
                break
    return fetches, waits, now


def test_max_download_attempts_3_on_a_dead_link_is_three_requests() -> None:
    machine = download(attempts=3)

    fetches, waits, _ = run(machine, CUT)
    end = machine.next_action()

    assert (len(fetches), waits) == (3, [0.0, 5.0])
    assert isinstance(end, GiveUp)
    assert isinstance(end.error, GaveUpError)


def test_patience_outlasts_the_attempts() -> None:
    _, _, seconds = run(download(attempts=3, patience=600.0), CUT)

    assert 600 <= seconds < 660


def test_who_waits_for_ever_never_gives_up() -> None:
    fetches, waits, _ = run(download(attempts=1, patience=math.inf), CUT, limit=2000)

    assert len(fetches) == 2000
    assert waits[-1] == 60.0


@pytest.mark.parametrize("error", [RefusedError("r", 403), NotFoundError("blob", "b"), StoreFullError("/data")])
def test_what_asking_again_does_not_mend_ends_it(error: HeadwayError) -> None:
    assert report(fetching(), error=error) == GiveUp(error)


def test_a_full_disk_ends_it_though_there_are_other_sources() -> None:
    machine = download(sources=2, patience=math.inf)
    machine.next_action()
    full = StoreFullError("/data")

    assert report(machine, error=full) == GiveUp(full)


def test_a_second_wrong_digest_ends_it_and_leaves_no_wrong_bytes_behind() -> None:
    machine = emptying()
    machine.emptied()
    machine.next_action()
    report(machine, (0, SIZE), flowed=SIZE)

    machine.verified(error=MISMATCH)

    assert machine.next_action() == SetAside()
    machine.emptied()
    assert machine.next_action() == GiveUp(MISMATCH)


# --- several sources --------------------------------------------------------------------------------------------


def sources_asked(fetches: list[Fetch]) -> list[int]:
    return [fetch.source for fetch in fetches]


def test_a_source_that_fails_is_left_at_the_same_offset() -> None:
    machine = download((0, 30), sources=2)
    machine.next_action()

    assert report(machine, (0, 30), error=CUT) == Fetch(1, 30, SIZE, SIZE)


def test_a_source_that_brought_bytes_is_asked_again() -> None:
    machine = download(sources=2)
    machine.next_action()

    assert report(machine, (0, 30), error=CUT, flowed=30) == Wait(0.0, CUT, 0)
    assert machine.next_action() == Fetch(0, 30, SIZE, SIZE)


def test_attempts_count_over_all_sources() -> None:
    fetches, _, _ = run(download(sources=2, attempts=5), CUT)

    assert len(fetches) == 5
    assert set(sources_asked(fetches)) == {0, 1}


@pytest.mark.parametrize("error", [RefusedError("r", 403), NotFoundError("blob", "b"), RangeIgnoredError("r")])
def test_a_source_that_will_not_mend_is_not_asked_again(error: HeadwayError) -> None:
    machine = download(sources=3, attempts=6)
    machine.next_action()

    first = report(machine, error=error)
    machine.fetched(Ranges(), flowed_bytes=0, skipped=0, seconds=0.0, now=0.0, error=CUT)
    fetches, _, _ = run(machine, CUT)

    assert first == Fetch(1, 0, SIZE, SIZE)
    assert set(sources_asked(fetches)) == {1, 2}


def test_when_no_source_is_left_the_last_ones_error_is_reported() -> None:
    machine = download(sources=2)
    machine.next_action()
    report(machine, error=RefusedError("mirror", 403))
    last = NotFoundError("blob", "b")

    assert report(machine, error=last) == GiveUp(last)


def test_after_a_wrong_digest_another_source_is_asked() -> None:
    machine = download((0, SIZE), sources=2)
    machine.next_action()
    machine.verified(error=MISMATCH)
    machine.next_action()
    machine.emptied()

    assert machine.next_action() == Fetch(1, 0, SIZE, SIZE)


def test_no_source_is_asked_before_its_retry_after_whatever_the_others_do() -> None:
    machine = download(sources=2, attempts=50)
    machine.next_action()
    busy = ThrottledError("mirror", 100.0)

    assert report(machine, error=busy) == Fetch(1, 0, SIZE, SIZE)
    asked = []
    now = 0.0
    while now < 130:
        machine.fetched(Ranges(), flowed_bytes=0, skipped=0, seconds=0.0, now=now, error=CUT)
        while isinstance(action := machine.next_action(), Wait):
            now += action.seconds
        assert isinstance(action, Fetch)
        asked.append((action.source, now))

    assert min(when for source, when in asked if source == 0) >= 100
    assert sum(source == 1 and when < 100 for source, when in asked) >= 4


def test_a_wrong_digest_does_not_bring_a_source_forward_that_asked_to_wait() -> None:
    machine = download(sources=2)
    machine.next_action()
    report(machine, error=ThrottledError("mirror", 100.0))
    report(machine, (0, SIZE), flowed=SIZE)
    machine.verified(error=MISMATCH)
    machine.next_action()
    machine.emptied()

    assert machine.next_action() == Wait(100.0, MISMATCH, 0)
    assert machine.next_action() == Fetch(0, 0, SIZE, SIZE)


# --- stories ----------------------------------------------------------------------------------------------------

ERRORS: list[HeadwayError] = [
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
    StoreFullError("/data"),
]


class World:
    """A blob, its ingest, its sources and the time, driven by a machine.

    Args:
        data: Draws what happens.
        attempts: For the policy.
        patience: For the policy.
        generous: Every source always brings a new byte, and the right one.
    """

    def __init__(self, data: st.DataObject, *, attempts: int, patience: float, generous: bool = False) -> None:
        self.draw = data.draw
        self.size = self.draw(st.integers(0, 60))
        self.content = bytes(range(1, self.size + 1))
        self.ingest = bytearray(self.size)
        self.held = Ranges()
        for start, end in self.draw(st.lists(st.tuples(st.integers(0, self.size), st.integers(0, self.size)))):
            self.write(min(start, end), self.content[min(start, end) : max(start, end)])
        self.sources = self.draw(st.integers(1, 3))
        self.generous = generous
        self.attempts = attempts
        self.now = self.draw(st.floats(0, 1e6))
        self.not_before = [-math.inf] * self.sources
        self.dead: set[int] = set()
        self.barren = 0
        self.skipped = 0
        self.fetches = 0
        retries = Retries(RetryPolicy(attempts, patience), now=self.now, jitter=lambda: self.draw(st.floats(0, 1)))
        self.machine = BlobDownload(self.size, self.held.copy(), sources=self.sources, retries=retries)

    def write(self, offset: int, data: bytes) -> None:
        self.ingest[offset : offset + len(data)] = data
        self.held.add(offset, offset + len(data))

    def live(self, *, limit: int = 300) -> Commit | GiveUp | None:
        """Do what the machine says until it ends; None where it had not ended after `limit` requests."""
        while self.fetches < limit:
            match self.machine.next_action():
                case Fetch() as fetch:
                    self.fetch(fetch)
                case Wait(seconds):
                    assert seconds >= 0
                    self.now += seconds
                case Verify():
                    assert self.held.total == self.size
                    self.machine.verified(error=None if self.ingest == self.content else MISMATCH)
                case SetAside():
                    self.held = Ranges()
                    self.skipped = 0
                    self.machine.emptied()
                case Commit() | GiveUp() as end:
                    return end
        return None

    def fetch(self, fetch: Fetch) -> None:
        self.fetches += 1
        assert 0 <= fetch.offset < fetch.end <= self.size
        assert self.held.next_start(fetch.offset) in (None, fetch.end)
        assert fetch.source not in self.dead
        assert self.now >= self.not_before[fetch.source] - 1e-6
        before = self.held.total
        flowed, skipped, error = self.answer(fetch)
        self.skipped += skipped
        assert self.skipped <= self.size
        seconds = self.draw(st.floats(0, 20))
        self.now += seconds
        self.note(fetch, error, brought=self.held.total > before)
        self.machine.fetched(
            self.held.copy(), flowed_bytes=flowed, skipped=skipped, seconds=seconds, now=self.now, error=error
        )

    def answer(self, fetch: Fetch) -> tuple[int, int, HeadwayError | None]:
        """Let the source answer; return bytes of the body, those that were held, and how it failed."""
        if not self.generous and self.draw(st.booleans()):
            return 0, 0, self.draw(st.sampled_from(ERRORS))
        start = fetch.offset if self.generous or self.draw(st.booleans()) else 0
        try:
            skip = check_skip(fetch, start, "r")
        except RangeIgnoredError as error:
            return 0, 0, error
        wanted = fetch.end - fetch.offset
        arrived = self.draw(st.integers(skip + 1 if self.generous else 0, skip + wanted))
        fresh = bytearray(self.content[fetch.offset : fetch.offset + max(0, arrived - skip)])
        if fresh and not self.generous and self.draw(st.integers(0, 9)) == 0:
            fresh[self.draw(st.integers(0, len(fresh) - 1))] ^= 0xFF
        self.write(fetch.offset, bytes(fresh))
        honest = arrived < skip + wanted and self.draw(st.booleans())
        return arrived, min(arrived, skip), None if honest or arrived == skip + wanted else CUT

    def note(self, fetch: Fetch, error: HeadwayError | None, *, brought: bool) -> None:
        self.barren = 0 if brought else self.barren + (error is None or error.retryable)
        if isinstance(error, ThrottledError | UnavailableError):
            self.not_before[fetch.source] = self.now + (error.retry_after_seconds or 0.0)
        if error is not None and not error.retryable and self.held.total < self.size:
            self.dead.add(fetch.source)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 6), st.sampled_from([0.0, 0.0, 600.0, math.inf]))
def test_no_story_asks_for_held_bytes_or_commits_wrong_ones(
    data: st.DataObject, attempts: int, patience: float
) -> None:
    world = World(data, attempts=attempts, patience=patience)

    end = world.live()

    event(type(end).__name__)
    if isinstance(end, Commit):
        assert world.ingest == world.content
    if patience == 0:
        assert world.barren <= attempts
        assert end is not None


@settings(max_examples=200, deadline=None)
@given(st.data(), st.integers(1, 6), st.sampled_from([0.0, 600.0, math.inf]))
def test_whoever_brings_a_new_byte_each_time_completes(data: st.DataObject, attempts: int, patience: float) -> None:
    world = World(data, attempts=attempts, patience=patience, generous=True)

    end = world.live()

    assert end == Commit()
    assert world.fetches <= world.size


@given(st.lists(st.integers(1, SIZE), max_size=10), st.integers(0, SIZE))
def test_a_server_that_ignores_ranges_sends_the_size_twice_at_most(cuts: list[int], kept: int) -> None:
    machine = download((0, kept))
    sent = 0
    end = kept
    for cut in [*cuts, SIZE]:
        action = machine.next_action()
        while isinstance(action, Wait):
            action = machine.next_action()
        if not isinstance(action, Fetch):
            break
        if end > action.skip_limit:
            with pytest.raises(RangeIgnoredError):
                check_skip(action, 0, "r")
            break
        skip = check_skip(action, 0, "r")
        sent += cut
        end = max(end, cut)
        error = None if cut == SIZE else CUT
        machine.fetched(Ranges([(0, end)]), flowed_bytes=cut, skipped=min(cut, skip), seconds=1.0, now=0.0, error=error)

    assert sent <= 2 * SIZE
