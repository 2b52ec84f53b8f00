"""The download of one blob, decided without doing it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.distribution.backoff import GiveUp, Retries, RetryPolicy, Wait
from headway.distribution.download import (
    CHEAP_SKIP_BYTES,
    Action,
    BlobDownload,
    Commit,
    Ended,
    SetAside,
    Verify,
)
from headway.distribution.ranges import Ranges
from headway.distribution.skipping import RangeIgnoredError, RangeRefusedError, check_skip
from headway.distribution.spread import Fetch
from headway.distribution.stream_limit import AGAIN_SECONDS, PAUSE_SECONDS, THROTTLED_PAUSE_SECONDS
from headway.distribution.suspects import PIECE_BYTES
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
    UnreachableError,
    WrongSizeError,
)

SIZE = 100
NO_RANGE = RangeRefusedError("r", "answers HTTP 416")
BIG = 16 << 20
CUT = UnreachableError("r", Fault.CUT)
MISMATCH = DigestMismatchError("the blob", "a", "b")


class Driver:
    """Performs what a machine says, in no time.

    Args:
        held: What is there to begin with.
        size: Of the blob.
        sources: How many.
        attempts: For the policy.
        patience: For the policy, in seconds.
        whole: Sources that ignore ranges.
        streams: How many requests there may be at once.
    """

    def __init__(
        self,
        *held: tuple[int, int],
        size: int = SIZE,
        sources: int = 1,
        attempts: int = 5,
        patience: float = 0.0,
        whole: Collection[int] = (),
        streams: int = 1,
    ) -> None:
        self.held = Ranges(held)
        self.now = 0.0
        self.streams = streams
        retries = Retries(RetryPolicy(attempts, patience), now=0.0, jitter=lambda: 0.0)
        self.machine = BlobDownload(size, self.held.copy(), sources=sources, retries=retries, whole=whole)

    def next(self) -> Action | None:
        """Return what the machine says now."""
        return self.machine.next_action(now=self.now, streams=self.streams)

    def fetch(self) -> Fetch:
        """Return the request that the machine says to make now."""
        action = self.next()
        assert isinstance(action, Fetch), action
        return action

    def end(
        self,
        fetch: Fetch,
        to: int | None = None,
        *,
        error: HeadwayError | None = None,
        skipped: int = 0,
        differs: bool = False,
        ignored_range: bool = False,
    ) -> Action | None:
        """Let a request come as far as `to` (by default, to its end) and report it; return what follows."""
        self.report(fetch, to, error=error, skipped=skipped, differs=differs, ignored_range=ignored_range)
        return self.next()

    def report(
        self,
        fetch: Fetch,
        to: int | None = None,
        *,
        error: HeadwayError | None = None,
        skipped: int = 0,
        differs: bool = False,
        ignored_range: bool = False,
    ) -> None:
        """The same, and do not ask what follows yet."""
        fetch.position = fetch.end if to is None else to
        self.held.add(fetch.offset, fetch.position)
        flowed = skipped + fetch.position - fetch.offset
        ended = Ended(flowed, skipped, 1.0, ignored_range=ignored_range, differs=differs, error=error)
        self.machine.fetched(fetch, self.held.copy(), ended, now=self.now)

    def fail(self, error: HeadwayError) -> Action | None:
        """Let the next request fail without a byte; return what follows."""
        fetch = self.fetch()
        return self.end(fetch, fetch.offset, error=error)

    def verify(self, *, error: HeadwayError | None, failed_at: int | None = None) -> Action | None:
        """Report a digest; return what follows."""
        assert self.next() == Verify()
        self.machine.verified(error=error, failed_at=failed_at)
        return self.next()


def download(*held: tuple[int, int], size: int = SIZE, sources: int = 1) -> Driver:
    """Return one with the usual policy of these tests: five attempts, no patience."""
    return Driver(*held, size=size, sources=sources)


def asked(action: Action | None) -> tuple[int, int, int]:
    """Return source, offset and end of a request."""
    assert isinstance(action, Fetch), action
    return action.source, action.offset, action.end


# --- one state after another ------------------------------------------------------------------------------------


def fetching() -> Driver:
    driver = download()
    driver.next()
    return driver


def verifying() -> Driver:
    driver = download((0, SIZE))
    driver.next()
    return driver


def doubting() -> Driver:
    driver = verifying()
    driver.machine.verified(error=MISMATCH)
    return driver


def wrong() -> Driver:
    driver = doubting()
    driver.end(driver.fetch())
    driver.machine.verified(error=MISMATCH)
    return driver


def emptying() -> Driver:
    driver = wrong()
    driver.next()
    return driver


def right() -> Driver:
    driver = verifying()
    driver.machine.verified(error=None)
    return driver


def failed() -> Driver:
    driver = download()
    driver.fail(RefusedError("r", 403))
    return driver


STATES: dict[str, Callable[[], Driver]] = {
    "ready": download,
    "fetching": fetching,
    "verifying": verifying,
    "doubting": doubting,
    "wrong": wrong,
    "emptying": emptying,
    "right": right,
    "failed": failed,
}


def _fetched(driver: Driver) -> Action | None:
    return driver.end(driver.machine.running[0] if driver.machine.running else Fetch(0, 0, SIZE, SIZE))


def _verified(driver: Driver) -> Action | None:
    driver.machine.verified(error=None)
    return driver.next()


def _emptied(driver: Driver) -> Action | None:
    driver.machine.emptied()
    return driver.next()


EVENTS: dict[str, Callable[[Driver], Action | None]] = {
    "next": Driver.next,
    "fetched": _fetched,
    "verified": _verified,
    "emptied": _emptied,
}

ALLOWED: dict[tuple[str, str], Action | None] = {
    ("ready", "next"): Fetch(0, 0, SIZE, SIZE),
    ("fetching", "next"): None,
    ("fetching", "fetched"): Verify(),
    ("verifying", "verified"): Commit(),
    ("doubting", "next"): Fetch(0, 0, SIZE, SIZE, check_bytes=PIECE_BYTES),
    ("wrong", "next"): SetAside(),
    ("emptying", "emptied"): GiveUp(MISMATCH),
    ("right", "next"): Commit(),
    ("failed", "next"): GiveUp(RefusedError("r", 403)),
}


@pytest.mark.parametrize(("state", "event"), ALLOWED)
def test_each_report_leads_to_one_action(state: str, event: str) -> None:
    driver = STATES[state]()

    action = EVENTS[event](driver)

    assert repr(action) == repr(ALLOWED[state, event])


@pytest.mark.parametrize(
    ("state", "event"), [(state, event) for state in STATES for event in EVENTS if (state, event) not in ALLOWED]
)
def test_a_report_out_of_order_is_our_bug(state: str, event: str) -> None:
    driver = STATES[state]()

    with pytest.raises(OutOfOrderError):
        EVENTS[event](driver)


@pytest.mark.parametrize("state", ["right", "failed"])
def test_an_end_stays_the_end(state: str) -> None:
    driver = STATES[state]()

    assert repr(driver.next()) == repr(driver.next())


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
    assert download(*held).next() == action


def test_an_empty_blob_needs_no_request() -> None:
    assert download(size=0).next() == Verify()


def test_after_a_gap_the_next_one_is_fetched_without_a_pause() -> None:
    driver = download((10, 40))

    assert asked(driver.end(driver.fetch())) == (0, 40, SIZE)


def test_a_cut_after_the_last_byte_is_no_failure() -> None:
    driver = download()

    assert driver.end(driver.fetch(), error=CUT) == Verify()


def test_a_cut_asks_for_the_rest_only_and_at_once() -> None:
    driver = download()

    assert asked(driver.end(driver.fetch(), 60, error=CUT)) == (0, 60, SIZE)


def test_a_body_that_ends_by_itself_too_early_is_asked_for_the_rest() -> None:
    driver = download()

    assert asked(driver.end(driver.fetch(), 60)) == (0, 60, SIZE)


def test_an_answer_without_a_new_byte_counts_as_a_failure() -> None:
    driver = download()

    driver.report(driver.fetch(), 0)
    action = driver.end(driver.fetch(), 0)

    assert isinstance(action, Wait)
    assert isinstance(action.cause, MisbehavedError)
    assert (action.seconds, action.attempts) == (5.0, 2)


@pytest.mark.parametrize("source", [0, 1])
def test_a_source_that_can_be_connected_to_again_is_asked_at_once_whosever_turn_it_is(source: int) -> None:
    driver = download(sources=2)
    errors = [UnreachableError("mirror", Fault.REFUSED), UnreachableError("registry", Fault.REFUSED)]
    for failing in (0, 1, 0):
        driver.report(driver.fetch(), 0, error=errors[failing])
    assert isinstance(driver.next(), Wait)
    assert driver.machine.failures == [errors[1], errors[0]]

    driver.machine.returned(errors[source], now=driver.now)

    assert driver.fetch().source == source


def test_a_new_byte_makes_past_who_could_not_be_connected_to_before() -> None:
    driver = download(sources=2)
    driver.report(driver.fetch(), 0, error=UnreachableError("mirror", Fault.REFUSED))

    driver.report(driver.fetch(), 40, error=CUT)

    assert driver.machine.failures == [CUT]


def test_a_wait_grows_shorter_while_time_passes() -> None:
    driver = download()
    driver.report(driver.fetch(), 0, error=CUT)
    driver.report(driver.fetch(), 0, error=CUT)

    driver.now = 3.0

    assert driver.next() == Wait(2.0, CUT, 2)
    driver.now = 5.0
    assert asked(driver.next()) == (0, 0, SIZE)


# --- servers that ignore ranges ---------------------------------------------------------------------------------


def test_what_is_sent_twice_is_taken_off_what_may_be_sent_twice() -> None:
    driver = download((0, 30))

    action = driver.end(driver.fetch(), 50, error=CUT, skipped=30, ignored_range=True)

    assert action == Fetch(0, 50, SIZE, skip_limit=70)
    assert isinstance(action, Fetch)
    assert check_skip(action, 0, "r") == 50


@pytest.mark.parametrize(("start", "limit", "skip"), [(50, 0, 0), (0, 50, 50), (49, 1, 1)])
def test_a_body_that_starts_early_is_skipped(start: int, limit: int, skip: int) -> None:
    assert check_skip(Fetch(0, 50, SIZE, limit), start, "r") == skip


def test_skipping_more_than_the_size_is_refused_for_good() -> None:
    with pytest.raises(RangeIgnoredError, match="ignores Range") as caught:
        check_skip(Fetch(0, 50, SIZE, 49), 0, "r")

    assert not caught.value.retryable


def test_a_server_that_is_known_to_ignore_ranges_gets_one_request_at_a_time() -> None:
    driver = Driver(size=BIG, whole=[0], streams=4)

    driver.fetch()

    assert driver.next() is None


def test_a_second_request_that_shows_that_ranges_are_ignored_costs_nothing_and_is_the_last() -> None:
    driver = Driver(size=BIG, streams=2)
    first = driver.fetch()
    second = driver.fetch()

    ignored = RangeIgnoredError("r")
    with pytest.raises(RangeIgnoredError):
        check_skip(second, 0, "r")
    after = driver.end(second, second.offset, error=ignored, ignored_range=True)

    assert after is None
    assert driver.machine.running == [first]
    assert driver.machine.retries.attempts == 0


def test_who_has_served_a_range_and_ignores_one_is_asked_again_and_sends_nothing_twice() -> None:
    driver = download((0, 1 << 20), size=BIG)
    first = driver.end(driver.fetch(), 2 << 20, error=CUT)
    assert isinstance(first, Fetch)

    second = driver.end(first, 2 << 20, error=RangeIgnoredError("r"), ignored_range=True)
    while isinstance(second, Wait):
        driver.now += second.seconds
        second = driver.next()

    assert [asked(first), asked(second)] == [(0, 2 << 20, BIG), (0, 2 << 20, BIG)]
    assert isinstance(second, Fetch)
    with pytest.raises(RangeIgnoredError):
        check_skip(second, 0, "r")


def test_who_ignores_ranges_from_now_on_is_followed_in_the_end_as_far_as_that_may_go() -> None:
    driver = Driver((0, 20), attempts=3, patience=math.inf)
    action: Action | None = driver.end(driver.fetch(), 60, error=CUT)
    limits: list[int] = []

    while isinstance(action, Wait | Fetch):
        if isinstance(action, Wait):
            driver.now += action.seconds
            action = driver.next()
        else:
            limits.append(action.skip_limit)
            action = driver.end(action, 60, error=RangeIgnoredError("r"), ignored_range=True)

    assert limits == [0, 0, 0, SIZE]
    assert isinstance(action, GiveUp)
    assert isinstance(action.error, RangeIgnoredError)


# --- several requests at once -----------------------------------------------------------------------------------


def test_several_requests_share_the_blob_from_the_front() -> None:
    driver = Driver(size=BIG, streams=3)

    intervals = [asked(driver.fetch())[1:] for _ in range(3)]

    assert driver.next() is None
    assert intervals[0][0] == 0
    assert [end for _, end in intervals[:-1]] == [start for start, _ in intervals[1:]]
    assert intervals[-1][1] < BIG


def test_a_request_that_is_lost_costs_only_itself() -> None:
    driver = Driver(size=BIG, streams=3)
    first, lost, third = [driver.fetch() for _ in range(3)]

    again = driver.end(lost, lost.offset + 70_000, error=CUT)

    assert asked(again)[1] == lost.offset + 70_000
    assert driver.machine.running == [first, third, again]
    assert driver.machine.retries.attempts == 0


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(UnreachableError("r", Fault.REFUSED), PAUSE_SECONDS), (ThrottledError("r", 1.0), THROTTLED_PAUSE_SECONDS)],
)
def test_where_one_request_more_is_refused_there_are_as_many_as_were_served_for_a_while(
    error: HeadwayError, seconds: float
) -> None:
    driver = Driver(size=BIG, streams=3)
    first, _, third = [driver.fetch() for _ in range(3)]

    assert driver.end(third, third.offset, error=error) is None
    driver.now = 1.0
    assert asked(driver.end(first))[1] == third.offset
    driver.now = seconds - 0.1
    assert driver.next() is None
    driver.now = seconds
    driver.fetch()


def test_who_sends_everything_for_a_part_is_asked_once_more_before_much_is_skipped() -> None:
    driver = Driver((0, BIG // 2), size=BIG)
    fetch = driver.fetch()
    assert fetch.skip_limit == CHEAP_SKIP_BYTES

    again = driver.end(fetch, fetch.offset, error=RangeIgnoredError("r"), ignored_range=True)

    assert isinstance(again, Fetch)
    assert (again.offset, again.skip_limit) == (BIG // 2, BIG)
    assert driver.machine.retries.attempts == 0


def test_who_is_known_to_send_everything_is_not_asked_twice() -> None:
    driver = Driver((0, BIG // 2), size=BIG, whole=[0])

    assert driver.fetch().skip_limit == BIG


def test_where_as_many_have_flowed_before_they_are_asked_for_again_a_second_later() -> None:
    driver = Driver(size=BIG, streams=4)
    first, second = driver.fetch(), driver.fetch()
    first.position += 1
    second.position += 1
    driver.streams = 2
    assert driver.next() is None
    refused = driver.end(second)
    assert isinstance(refused, Fetch)

    assert driver.end(refused, refused.offset, error=CUT) is None
    driver.now = AGAIN_SECONDS
    driver.streams = 4
    driver.fetch()

    assert driver.next() is None
    driver.now = PAUSE_SECONDS
    driver.fetch()


def test_where_one_request_more_is_throttled_nothing_is_asked_before_the_time_that_was_named() -> None:
    driver = Driver(size=BIG, streams=2)
    first, second = driver.fetch(), driver.fetch()
    busy = ThrottledError("r", 30.0)

    driver.end(second, second.offset, error=busy)

    assert driver.end(first) == Wait(30.0, busy, 0)
    driver.now = 30.0
    driver.fetch()


def test_a_failure_of_the_others_does_not_bring_that_time_forward() -> None:
    driver = Driver(size=BIG, streams=2)
    first, second = driver.fetch(), driver.fetch()
    driver.report(second, second.offset, error=ThrottledError("r", 30.0))

    assert driver.end(first, 100, error=CUT) == Wait(30.0, CUT, 0)


def test_the_last_request_that_fails_is_a_failure_as_if_it_were_alone() -> None:
    driver = Driver(size=BIG, streams=2, attempts=1)
    first, second = driver.fetch(), driver.fetch()

    driver.end(second, second.offset, error=CUT)

    assert isinstance(driver.end(first, 0, error=CUT), GiveUp)


def test_a_request_whose_work_others_have_taken_over_is_no_failure_whatever_ends_it() -> None:
    driver = Driver(size=BIG, streams=2, attempts=1)
    first, second = driver.fetch(), driver.fetch()
    driver.end(second)

    first.end = first.offset

    assert asked(driver.end(first, first.offset, error=CUT))[1] == 0


def test_a_full_disk_ends_it_whoever_else_runs() -> None:
    driver = Driver(size=BIG, streams=2, patience=math.inf)
    driver.fetch()
    second = driver.fetch()
    full = StoreFullError("/data")

    assert driver.end(second, second.offset, error=full) == GiveUp(full)


# --- wrong digests ----------------------------------------------------------------------------------------------


def test_after_a_wrong_digest_another_source_is_asked_to_compare() -> None:
    driver = download((0, SIZE), sources=2)

    assert driver.verify(error=MISMATCH) == Fetch(1, 0, SIZE, SIZE, check_bytes=PIECE_BYTES)


def test_a_difference_that_was_found_is_verified_at_once() -> None:
    driver = download((0, BIG), size=BIG)
    doubt = driver.verify(error=MISMATCH, failed_at=BIG // 2)
    assert isinstance(doubt, Fetch)

    assert driver.end(doubt, doubt.offset + 300_000, differs=True) == Verify()
    driver.machine.verified(error=None)
    assert driver.next() == Commit()


def test_where_that_was_not_all_the_search_goes_on_behind_it() -> None:
    driver = download((0, BIG), size=BIG)
    doubt = driver.verify(error=MISMATCH, failed_at=BIG // 2)
    assert isinstance(doubt, Fetch)
    driver.end(doubt, doubt.offset + 300_000, differs=True)
    driver.machine.verified(error=MISMATCH)

    again = driver.fetch()

    assert (again.offset, again.end) == (doubt.offset + 300_000, doubt.end)
    assert again.check_bytes == 2 * PIECE_BYTES


def test_a_cut_while_comparing_goes_on_where_it_was() -> None:
    driver = download((0, SIZE))
    doubt = driver.verify(error=MISMATCH)
    assert isinstance(doubt, Fetch)

    assert asked(driver.end(doubt, 60, error=CUT)) == (0, 60, SIZE)


def test_bytes_that_everybody_has_and_are_wrong_end_it_and_are_not_left_behind() -> None:
    driver = download((0, SIZE))
    doubt = driver.verify(error=MISMATCH)
    assert isinstance(doubt, Fetch)

    assert driver.end(doubt) == Verify()
    driver.machine.verified(error=MISMATCH)

    assert driver.next() == SetAside()
    driver.machine.emptied()
    assert driver.next() == GiveUp(MISMATCH)


def compared(
    driver: Driver, action: Action | None, to: int = SIZE, *, error: HeadwayError | None = None
) -> Action | None:
    """Let a comparison come as far as `to` without a difference; return what follows, the digest staying wrong."""
    assert isinstance(action, Fetch), action
    following = driver.end(action, to, error=error)
    if following != Verify():
        return following
    driver.machine.verified(error=MISMATCH)
    return driver.next()


def test_who_sent_wrong_bytes_and_confirms_them_while_others_are_away_is_not_the_last_to_be_asked() -> None:
    driver = download(sources=2)
    driver.report(driver.fetch())
    doubt = driver.verify(error=MISMATCH)

    confirmed = compared(driver, doubt, 40, error=UnreachableError("r", Fault.STALLED))
    last = compared(driver, confirmed)

    assert [asked(doubt), asked(confirmed), asked(last)] == [(1, 0, SIZE), (0, 40, SIZE), (1, 40, SIZE)]
    assert compared(driver, last) == SetAside()


def test_of_three_the_one_who_is_right_is_asked_though_two_agree() -> None:
    driver = download(sources=3)
    driver.report(driver.fetch())

    last = compared(driver, driver.verify(error=MISMATCH))

    assert asked(last) == (2, 0, SIZE)
    assert compared(driver, last) == SetAside()


def test_nobody_who_has_sent_it_all_is_asked_for_it_again_where_two_agree() -> None:
    driver = download(sources=2)
    driver.report(driver.fetch())

    assert compared(driver, driver.verify(error=MISMATCH)) == SetAside()


@pytest.mark.parametrize("error", [CUT, NotFoundError("blob", "b")])
def test_who_cannot_be_asked_for_the_rest_of_wrong_bytes_is_waited_for_as_for_a_blob_and_no_longer(
    error: HeadwayError,
) -> None:
    driver = Driver(sources=2, attempts=3, patience=math.inf)
    driver.report(driver.fetch())
    last = compared(driver, compared(driver, driver.verify(error=MISMATCH), 0, error=CUT))
    assert isinstance(last, Fetch)

    fetches, action = [last], driver.end(last, 0, error=error)
    while isinstance(action, Wait | Fetch):
        if isinstance(action, Wait):
            driver.now += action.seconds
            action = driver.next()
        else:
            fetches.append(action)
            action = driver.end(action, 0, error=error)

    assert {fetch.source for fetch in fetches} == {1}
    assert len(fetches) <= 3
    assert action == SetAside()


def test_who_compared_only_what_others_had_left_is_asked_for_the_rest() -> None:
    driver = download(sources=3)
    driver.report(driver.fetch())

    doubt = driver.verify(error=MISMATCH)
    rest = compared(driver, doubt, 60, error=NotFoundError("blob", "b"))
    last = compared(driver, rest)

    assert [asked(doubt), asked(rest), asked(last)] == [(1, 0, SIZE), (2, 60, SIZE), (2, 0, 60)]
    assert compared(driver, last, 60) == SetAside()


def test_one_that_is_away_uses_up_no_attempts_of_another_that_could_mend_wrong_bytes() -> None:
    driver = download(sources=4)
    driver.report(driver.fetch())
    away = compared(driver, driver.verify(error=MISMATCH))
    assert isinstance(away, Fetch)

    last = driver.end(away, 0, error=UnreachableError("r", Fault.REFUSED))

    assert [asked(away), asked(last)] == [(2, 0, SIZE), (3, 0, SIZE)]


def test_who_can_be_connected_to_again_is_asked_for_what_he_has_not_said_of_wrong_bytes() -> None:
    driver = download(sources=4)
    driver.report(driver.fetch())
    action = compared(driver, driver.verify(error=MISMATCH))
    fetches: list[Fetch] = []
    while isinstance(action, Fetch):
        fetches.append(action)
        action = driver.end(action, 30 if action.source == 2 else 0, error=UnreachableError("r", Fault.STALLED))

    assert isinstance(action, Wait)
    driver.machine.returned(action.cause, now=driver.now)
    assert [fetch.source for fetch in fetches] == [2, 3, 2]
    assert asked(driver.next()) == (2, 30, SIZE)


def test_who_answers_ranges_wrongly_twice_is_asked_for_everything_and_for_nothing_beside_that() -> None:
    driver = Driver((0, BIG // 2), size=BIG, streams=4)

    for _ in range(2):
        fetch = driver.fetch()
        assert not fetch.without_range
        driver.report(fetch, fetch.offset, error=NO_RANGE)
        driver.now += 100
    fetch = driver.fetch()

    assert (fetch.offset, fetch.end, fetch.without_range) == (BIG // 2, BIG, True)
    assert driver.next() is None
    assert driver.end(fetch, skipped=BIG // 2, ignored_range=True) == Verify()


def test_who_has_served_ranges_and_refuses_some_is_asked_for_ranges_until_attempts_are_used_up() -> None:
    driver = Driver((0, 20), attempts=3, patience=math.inf)
    asked_without: list[bool] = []

    for to in (40, 40, 60, 60, 80, 80, 80, 80, 80, 80):
        fetch = driver.fetch()
        asked_without.append(fetch.without_range)
        driver.report(fetch, to, error=CUT if to > fetch.offset else NO_RANGE)
        driver.now += 100

    assert asked_without == [False] * 10
    assert driver.fetch().without_range


def test_a_source_that_serves_ranges_is_asked_for_them_beside_one_that_does_not() -> None:
    driver = Driver((0, 50), sources=2, attempts=9)
    asked_without: set[tuple[int, bool]] = set()

    for _ in range(6):
        fetch = driver.fetch()
        asked_without.add((fetch.source, fetch.without_range))
        driver.report(fetch, fetch.offset, error=CUT if fetch.source else NO_RANGE)
        driver.now += 100

    assert asked_without == {(0, False), (1, False), (0, True)}


def test_of_a_server_that_ignores_ranges_the_whole_is_compared_once() -> None:
    driver = Driver((0, BIG), size=BIG, whole=[0])

    doubt = driver.verify(error=MISMATCH, failed_at=BIG // 2)

    assert asked(doubt) == (0, 0, BIG)


def test_a_server_that_turns_out_to_ignore_ranges_while_comparing_is_asked_for_the_whole() -> None:
    driver = download((0, BIG), size=BIG)
    doubt = driver.verify(error=MISMATCH, failed_at=BIG // 2)
    assert isinstance(doubt, Fetch)

    assert asked(driver.end(doubt, doubt.offset, error=RangeIgnoredError("r"), ignored_range=True)) == (0, 0, BIG)


def test_a_wrong_digest_does_not_bring_a_source_forward_that_asked_to_wait() -> None:
    driver = download(sources=2)
    driver.report(driver.fetch(), 0, error=ThrottledError("mirror", 100.0))
    driver.end(driver.fetch())
    driver.machine.verified(error=MISMATCH)

    assert driver.next() == Wait(100.0, MISMATCH, 0)
    driver.now = 100.0
    assert asked(driver.next()) == (0, 0, SIZE)


# --- giving up --------------------------------------------------------------------------------------------------


def run(driver: Driver, error: HeadwayError, *, limit: int = 1000) -> tuple[list[Fetch], list[float], float]:
    """Let every request fail; return the requests, the waits and the time it took, in seconds."""
    fetches: list[Fetch] = []
    waits: list[float] = []
    while len(fetches) < limit:
        match driver.next():
            case Fetch() as fetch:
                fetches.append(fetch)
                driver.machine.fetched(fetch, driver.held.copy(), Ended(error=error), now=driver.now)
            case Wait(seconds):
                waits.append(seconds)
                driver.now += seconds
            case _:
                break
    return fetches, waits, driver.now


def test_max_download_attempts_3_on_a_dead_link_is_three_requests() -> None:
    driver = Driver(attempts=3)

    fetches, waits, _ = run(driver, CUT)
    end = driver.next()

    assert (len(fetches), waits) == (3, [5.0])
    assert isinstance(end, GiveUp)
    assert isinstance(end.error, GaveUpError)


def test_patience_outlasts_the_attempts() -> None:
    _, _, seconds = run(Driver(attempts=3, patience=600.0), CUT)

    assert 600 <= seconds < 660


def test_a_wait_that_outlasts_the_patience_is_not_begun() -> None:
    error = ThrottledError("r", 3600.0)

    assert download().fail(error) == GiveUp(error)
    assert Driver(patience=4000.0).fail(error) == Wait(3600.0, error, 1)


def test_a_wait_is_told_and_judged_by_who_is_waited_for_whatever_another_says() -> None:
    for seconds, following in ((100.0, Wait), (3600.0, GiveUp)):
        driver, throttled = download(sources=2), ThrottledError("mirror", seconds)
        first = driver.fail(throttled)
        assert isinstance(first, Fetch)

        action = driver.end(first, 0, error=NotFoundError("blob", "b"))

        assert action == (Wait(seconds, throttled, 1) if following is Wait else GiveUp(throttled))


def test_nobody_waits_for_hours_for_who_could_say_that_bytes_are_wrong() -> None:
    driver = download(sources=2)
    driver.report(driver.fetch(), 0, error=ThrottledError("mirror", 3600.0))
    driver.end(driver.fetch())
    driver.machine.verified(error=MISMATCH)

    assert driver.next() == GiveUp(MISMATCH)


def test_who_may_ask_somebody_else_sooner_waits_for_nobody_for_long() -> None:
    driver = download(sources=2)

    action = driver.fail(ThrottledError("mirror", 3600.0))

    assert asked(action) == (1, 0, SIZE)
    assert isinstance(action, Fetch)
    assert asked(driver.end(action, 0, error=CUT)) == (1, 0, SIZE)


def test_who_waits_for_ever_never_gives_up() -> None:
    fetches, waits, _ = run(Driver(attempts=1, patience=math.inf), CUT, limit=2000)

    assert len(fetches) == 2000
    assert waits[-1] == 60.0


@pytest.mark.parametrize("error", [RefusedError("r", 403), NotFoundError("blob", "b"), StoreFullError("/data")])
def test_what_asking_again_does_not_mend_ends_it(error: HeadwayError) -> None:
    assert download().fail(error) == GiveUp(error)


def test_a_full_disk_ends_it_though_there_are_other_sources() -> None:
    full = StoreFullError("/data")

    assert Driver(sources=2, patience=math.inf).fail(full) == GiveUp(full)


# --- several sources --------------------------------------------------------------------------------------------


def test_a_source_that_fails_is_left_at_the_same_offset() -> None:
    assert asked(download((0, 30), sources=2).fail(CUT)) == (1, 30, SIZE)


def test_a_source_that_brought_bytes_is_asked_again() -> None:
    driver = download(sources=2)

    assert asked(driver.end(driver.fetch(), 30, error=CUT)) == (0, 30, SIZE)


def test_a_source_that_fell_silent_is_left_though_it_brought_bytes() -> None:
    driver = download(sources=2)

    assert asked(driver.end(driver.fetch(), 30, error=UnreachableError("r", Fault.STALLED))) == (1, 30, SIZE)


def test_attempts_count_over_all_sources() -> None:
    fetches, _, _ = run(Driver(sources=2, attempts=5), CUT)

    assert len(fetches) == 5
    assert {fetch.source for fetch in fetches} == {0, 1}


@pytest.mark.parametrize("error", [RefusedError("r", 403), NotFoundError("blob", "b"), RangeIgnoredError("r")])
def test_a_source_that_will_not_mend_is_not_asked_again(error: HeadwayError) -> None:
    driver = Driver(sources=3, attempts=6)

    first = driver.fail(error)
    assert isinstance(first, Fetch)
    driver.report(first, 0, error=CUT)
    fetches, _, _ = run(driver, CUT)

    assert asked(first) == (1, 0, SIZE)
    assert {fetch.source for fetch in fetches} == {1, 2}


def test_a_source_that_says_the_same_wrong_size_three_times_is_left_for_another() -> None:
    driver = Driver(sources=2, patience=math.inf)
    errors = [WrongSizeError("r", 99, SIZE) for _ in range(3)]
    for error in errors:
        driver.report(asked_of(driver, 0), 0, error=error)
        driver.machine.fetched(asked_of(driver, 1), driver.held, Ended(error=CUT), now=driver.now)

    driver.now += 1_000

    assert [error.retryable for error in errors] == [True, True, False]
    assert driver.fetch().source == 1


def test_a_wrong_size_that_every_source_says_ends_it_within_the_patience() -> None:
    driver = Driver(patience=math.inf)
    error = WrongSizeError("r", 99, SIZE)
    for _ in range(2):
        driver.report(asked_of(driver, 0), 0, error=error)

    assert driver.end(asked_of(driver, 0), 0, error=error) == GiveUp(error)


def test_what_a_source_said_of_the_size_is_past_when_bytes_come_again() -> None:
    driver = Driver(patience=math.inf)
    for to in (0, 0, 30, 0, 0):
        driver.report(asked_of(driver, 0), to, error=CUT if to else WrongSizeError("r", 99, SIZE))

    assert asked_of(driver, 0).offset == 30


def asked_of(driver: Driver, source: int) -> Fetch:
    """Return the next request to a source, when that is due."""
    driver.now += 100
    fetch = driver.fetch()
    assert fetch.source == source
    return fetch


def test_when_no_source_is_left_the_last_ones_error_is_reported() -> None:
    driver = download(sources=2)
    first = driver.fail(RefusedError("mirror", 403))
    assert isinstance(first, Fetch)
    last = NotFoundError("blob", "b")

    assert driver.end(first, 0, error=last) == GiveUp(last)


def test_no_source_is_asked_before_its_retry_after_whatever_the_others_do() -> None:
    driver = Driver(sources=2, attempts=50)
    action = driver.fail(ThrottledError("mirror", 100.0))
    times: list[tuple[int, float]] = []

    while driver.now < 130:
        while isinstance(action, Wait):
            driver.now += action.seconds
            action = driver.next()
        assert isinstance(action, Fetch)
        times.append((action.source, driver.now))
        action = driver.end(action, 0, error=CUT)

    assert times[0] == (1, 0.0)
    assert min(when for source, when in times if source == 0) >= 100
    assert sum(source == 1 and when < 100 for source, when in times) >= 4


# --- a story ----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, SIZE), max_size=10), st.integers(0, SIZE))
def test_a_server_that_ignores_ranges_sends_the_size_twice_at_most(cuts: list[int], kept: int) -> None:
    driver = download((0, kept))
    sent = 0
    for cut in [*cuts, SIZE]:
        action = driver.next()
        if not isinstance(action, Fetch):
            break
        try:
            skip = check_skip(action, 0, "r")
        except RangeIgnoredError:
            break
        sent += cut
        to = max(action.offset, cut)
        error = None if cut == SIZE else CUT
        driver.report(action, to, error=error, skipped=min(cut, skip), ignored_range=True)
        driver.now += 100.0

    assert sent <= 2 * SIZE
