"""Whether to try again, and when."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.distribution.backoff import FirstContact, GiveUp, Retries, RetryPolicy, Wait, is_outage
from headway.errors import (
    Fault,
    GaveUpError,
    HeadwayError,
    HeldBackError,
    MisbehavedError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    UnavailableError,
    UnreachableError,
)

CUT = UnreachableError("r", Fault.CUT)


def retries(attempts: int = 5, patience: float = 0.0, jitter: float = 0.0) -> Retries:
    return Retries(RetryPolicy(attempts, patience), now=0.0, jitter=lambda: jitter)


def waits(subject: Retries, count: int, *, error: HeadwayError = CUT, now: float = 0.0) -> list[float]:
    """Return the waits of so many failures in a row."""
    decisions = [subject.failed(error, now=now) for _ in range(count)]
    return [decision.seconds for decision in decisions if isinstance(decision, Wait)]


def test_delays_grow_as_dockers_do_up_to_a_minute() -> None:
    delays = waits(retries(attempts=100), 15)

    assert delays == [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 60, 60]


def test_jitter_shortens_a_delay_by_a_quarter_at_most() -> None:
    delays = waits(retries(attempts=100, jitter=1.0), 4)

    assert delays == [0, 3.75, 7.5, 11.25]


@pytest.mark.parametrize(
    ("flowed", "seconds", "resets"),
    [(16_384, 0.1, True), (16_383, 0.1, False), (1, 10.0, True), (1, 9.9, False), (0, 60.0, False)],
)
def test_the_delay_starts_anew_only_after_real_flow(flowed: int, seconds: float, *, resets: bool) -> None:
    subject = retries(attempts=100)
    waits(subject, 3)

    subject.progressed(flowed, flowed_bytes=flowed, seconds=seconds, now=0.0)

    assert waits(subject, 1) == [0.0 if resets else 15.0]


def test_three_attempts_are_three_requests_in_all() -> None:
    subject = retries(attempts=3)

    decisions = [subject.failed(CUT, now=0.0) for _ in range(3)]

    assert decisions[:2] == [Wait(0.0, CUT, 1), Wait(5.0, CUT, 2)]
    assert isinstance(decisions[2], GiveUp)
    assert isinstance(decisions[2].error, GaveUpError)
    assert (decisions[2].error.attempts, decisions[2].error.cause) == (3, CUT)


def test_one_new_byte_starts_the_count_of_attempts_anew() -> None:
    subject = retries(attempts=3)
    waits(subject, 2)

    subject.progressed(1, flowed_bytes=1, seconds=0.0, now=0.0)
    after_bytes = subject.failed(CUT, now=0.0, brought_bytes=True)
    decisions = [subject.failed(CUT, now=0.0) for _ in range(3)]

    assert isinstance(after_bytes, Wait)
    assert [type(decision) for decision in decisions] == [Wait, Wait, GiveUp]


def test_bytes_that_were_held_already_are_no_progress() -> None:
    subject = retries(attempts=2)
    waits(subject, 1)

    subject.progressed(0, flowed_bytes=1_000_000, seconds=60.0, now=0.0)

    assert isinstance(subject.failed(CUT, now=0.0), GiveUp)


def outlast(outage: float, patience: float) -> bool:
    """Tell whether a download that asks as it is told survives an outage of so many seconds."""
    subject = retries(attempts=5, patience=patience)
    now = 0.0
    while now < outage:
        decision = subject.failed(CUT, now=now)
        if isinstance(decision, GiveUp):
            return False
        now += decision.seconds
    return True


@pytest.mark.parametrize(
    ("outage", "patience", "survives"),
    [
        (599, 600, True),
        (0.1, 600, True),
        (1000, 600, False),
        (40, 0, False),
        (25, 0, True),
        (10_000_000, math.inf, True),
    ],
)
def test_patience_keeps_a_download_alive_through_outages(outage: float, patience: float, *, survives: bool) -> None:
    assert outlast(outage, patience) == survives


def test_patience_counts_from_the_last_new_byte() -> None:
    subject = retries(attempts=1, patience=600.0)

    subject.progressed(1, flowed_bytes=1, seconds=1.0, now=500.0)

    assert isinstance(subject.failed(CUT, now=1099.0), Wait)
    assert isinstance(subject.failed(CUT, now=1100.0), GiveUp)


def test_attempts_that_are_left_outlast_the_patience() -> None:
    subject = retries(attempts=3, patience=10.0)

    decisions = [subject.failed(CUT, now=1000.0) for _ in range(3)]

    assert [type(decision) for decision in decisions] == [Wait, Wait, GiveUp]


def test_a_policy_that_is_replaced_holds_for_the_next_failure() -> None:
    subject = retries(attempts=5)
    waits(subject, 2)

    subject.policy = RetryPolicy(3, 0.0)

    assert isinstance(subject.failed(CUT, now=0.0), GiveUp)


@pytest.mark.parametrize(
    "error",
    [RefusedError("r", 403), NotFoundError("blob", "b"), UnreachableError("r", Fault.CERTIFICATE)],
)
def test_what_time_does_not_mend_is_final_at_once(error: HeadwayError) -> None:
    subject = retries(attempts=100, patience=math.inf)

    assert subject.failed(error, now=0.0) == GiveUp(error)


@pytest.mark.parametrize("error", [ThrottledError("r", 90.0), UnavailableError("r", 503, 90.0)])
def test_what_the_registry_asks_for_wins_over_the_rhythm(error: HeadwayError) -> None:
    subject = retries(attempts=100, jitter=1.0)

    assert waits(subject, 2, error=error) == [90.0, 90.0]


def test_a_registry_that_is_busy_is_not_asked_again_at_once() -> None:
    assert waits(retries(attempts=100), 3, error=ThrottledError("r", None)) == [5.0, 5.0, 10.0]


@pytest.mark.parametrize("error", [ThrottledError("r", 0.0), UnavailableError("r", 503, 0.0)])
def test_retry_after_zero_is_no_leave_to_ask_without_a_pause(error: HeadwayError) -> None:
    delays = waits(retries(attempts=100), 20, error=error)

    assert sum(delays) > 600


def test_a_request_that_was_held_back_is_no_attempt() -> None:
    subject = retries(attempts=2)

    decisions = [subject.failed(HeldBackError("r", 3.0), now=0.0) for _ in range(5)]

    assert [each for each in decisions if isinstance(each, Wait)] == decisions
    assert {each.seconds for each in decisions if isinstance(each, Wait)} == {3.0}
    assert subject.attempts == 0


def test_what_holds_for_all_wins_over_what_one_was_told() -> None:
    error = ThrottledError("r", 2.0)
    error.wait_seconds = 30.0

    assert waits(retries(), 1, error=error) == [30.0]


@pytest.mark.parametrize(
    ("seconds", "patience", "now", "outlasts"),
    [
        (600.0, 0.0, 0.0, False),
        (601.0, 0.0, 0.0, True),
        (3000.0, 3600.0, 0.0, False),
        (3000.0, 3600.0, 700.0, True),
        (86_400.0, math.inf, 0.0, False),
    ],
)
def test_a_wait_that_outlasts_patience_and_ten_minutes_is_not_begun(
    seconds: float, patience: float, now: float, *, outlasts: bool
) -> None:
    subject = retries(patience=patience)
    wait = subject.failed(ThrottledError("r", seconds), now=now)

    assert isinstance(wait, Wait)
    assert subject.unless_too_long(wait, now=now) == (GiveUp(wait.cause) if outlasts else wait)


def test_an_outage_is_never_a_wait_that_outlasts() -> None:
    subject = retries(attempts=1000)
    for _ in range(100):
        wait = subject.failed(CUT, now=1e6)
        assert isinstance(wait, Wait)
        assert subject.unless_too_long(wait, now=1e6) is wait


def test_a_clock_is_looked_at_every_four_seconds() -> None:
    clock = UnreachableError("r", Fault.CLOCK)

    assert waits(retries(attempts=100), 20, error=clock) == [4.0] * 20


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0, 1, 20_000]), st.floats(0, 30)), max_size=30),
    st.integers(1, 6),
)
def test_a_delay_is_never_longer_than_a_minute_nor_attempts_more_than_allowed(
    story: list[tuple[bool, int, float]], attempts: int
) -> None:
    subject = retries(attempts=attempts)
    barren = 0

    for fails, flowed, seconds in story:
        subject.progressed(flowed, flowed_bytes=flowed, seconds=seconds, now=0.0)
        barren = 0 if flowed else barren
        if fails:
            barren += not flowed
            decision = subject.failed(CUT, now=0.0, brought_bytes=flowed > 0)

            assert isinstance(decision, GiveUp) == (barren >= attempts)
            assert isinstance(decision, GiveUp) or 0 <= decision.seconds <= 60


# --- before a registry has answered at all ----------------------------------------------------------------------


def test_a_first_contact_is_tried_three_times_within_ten_seconds() -> None:
    subject = FirstContact(now=100.0)

    decisions = [subject.failed(CUT, now=now) for now in (100.0, 101.0, 103.0)]

    assert decisions == [Wait(1.0, CUT, 1), Wait(2.0, CUT, 2), GiveUp(CUT)]


@pytest.mark.parametrize(
    ("error", "now", "decision"),
    [
        (NotFoundError("manifest", "m"), 0.0, GiveUp),
        (CUT, 7.1, GiveUp),
        (CUT, 6.9, Wait),
        (UnreachableError("r", Fault.UNKNOWN_NAME), 0.0, GiveUp),
        (MisbehavedError("r", "x"), 0.0, Wait),
    ],
)
def test_a_first_contact_does_not_wait_longer(error: HeadwayError, now: float, decision: type) -> None:
    assert isinstance(FirstContact(now=0.0).failed(error, now=now), decision)


def test_a_first_contact_has_nine_seconds_in_all() -> None:
    subject = FirstContact(now=100.0)

    assert [subject.seconds_left(now=now) for now in (100.0, 104.0, 111.0)] == [9.0, 5.0, 0.0]


def test_what_mirrors_took_is_not_taken_from_a_first_contact() -> None:
    subject = FirstContact(now=100.0)
    subject.excuse(12.0)

    assert subject.seconds_left(now=112.0) == 9.0
    assert subject.failed(CUT, now=112.0) == Wait(1.0, CUT, 1)


def test_a_first_contact_that_has_reached_somebody_has_a_minute_in_all() -> None:
    subject = FirstContact(now=100.0)

    assert [subject.seconds_left_where_reached(now=now) for now in (109.0, 161.0)] == [51.0, 0.0]


@pytest.mark.parametrize(("now", "decision"), [(9.0, Wait), (50.0, Wait), (59.0, GiveUp)])
def test_a_first_contact_that_has_reached_somebody_is_tried_again_later_too(now: float, decision: type) -> None:
    silent = UnreachableError("r", Fault.TLS, "no answer to the TLS hello")

    assert isinstance(FirstContact(now=0.0).failed(silent, now=now, reached=True), decision)


@pytest.mark.parametrize(
    ("error", "may_wait"),
    [
        (UnreachableError("r", Fault.NO_ROUTE), True),
        (UnreachableError("r", Fault.NO_DNS), True),
        (UnreachableError("r", Fault.CLOCK), True),
        (ThrottledError("r", 30.0), True),
        (UnavailableError("r", 503), True),
        (UnreachableError("r", Fault.UNKNOWN_NAME), False),
        (UnreachableError("r", Fault.REFUSED), False),
        (UnreachableError("r", Fault.TIMEOUT), False),
        (NotFoundError("manifest", "m"), False),
    ],
)
def test_a_first_contact_is_waited_for_where_it_was_no_typo(error: HeadwayError, *, may_wait: bool) -> None:
    assert is_outage(error) is may_wait
