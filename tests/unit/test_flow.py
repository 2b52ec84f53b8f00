"""When a connection is dropped for silence or for a trickle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.distribution.flow import MEMORY_SECONDS, FlowWatch, LinkMemory, Pace, first_byte_limit


def memory_of(*rates: tuple[float, float]) -> LinkMemory:
    """Return a memory that saw each rate at its time."""
    memory = LinkMemory()
    for now, rate in rates:
        memory.saw(rate, now=now)
    return memory


@pytest.mark.parametrize(("gap", "limit"), [(0.0, 5.0), (1.0, 5.0), (1.25, 5.0), (2.0, 8.0), (3.5, 14.0), (14.0, 14.0)])
def test_silence_is_judged_by_the_gaps_before(gap: float, limit: float) -> None:
    watch = FlowWatch(LinkMemory(), now=100.0)

    watch.is_trickle(1, now=100.0 + gap)
    watch.is_trickle(1, now=100.0 + gap)

    assert watch.stall_limit_seconds == limit


def test_a_slow_link_is_not_dropped() -> None:
    watch = FlowWatch(LinkMemory(), now=0.0)

    verdicts = [watch.is_trickle(300, now=float(second)) for second in range(1, 3600)]

    assert not any(verdicts)


@pytest.mark.parametrize(("rate", "dropped"), [(25, True), (26, False)])
def test_a_trickle_is_dropped_where_four_times_its_rate_was_seen(rate: int, *, dropped: bool) -> None:
    watch = FlowWatch(memory_of((0.0, 100.0)), now=0.0)

    verdict = watch.is_trickle(rate * 10, now=10.0)

    assert verdict == dropped


def test_no_verdict_is_given_within_ten_seconds() -> None:
    watch = FlowWatch(memory_of((0.0, 1e9)), now=0.0)

    assert not watch.is_trickle(1, now=9.9)


def test_after_a_drop_the_link_may_be_slow() -> None:
    memory = memory_of((0.0, 100.0))
    FlowWatch(memory, now=0.0).is_trickle(10, now=10.0)
    watch = FlowWatch(memory, now=10.0)

    verdict = watch.is_trickle(10, now=20.0)

    assert not verdict
    assert memory.best(now=20.0) == 1.0


def test_what_was_fast_five_minutes_ago_does_not_count() -> None:
    memory = memory_of((0.0, 1000.0))

    assert memory.best(now=MEMORY_SECONDS) == 1000.0
    assert memory.best(now=MEMORY_SECONDS + 1) == 0.0
    assert not FlowWatch(memory, now=MEMORY_SECONDS).is_trickle(10, now=MEMORY_SECONDS + 10)


def test_a_connection_that_brought_nothing_is_silent_and_no_trickle() -> None:
    watch = FlowWatch(LinkMemory(), now=0.0)

    assert not watch.is_trickle(0, now=10.0)


def test_our_own_pauses_do_not_count() -> None:
    watch = FlowWatch(memory_of((0.0, 100.0)), now=0.0)

    watch.is_trickle(500, now=5.0)
    watch.paused(now=65.0)
    verdict = watch.is_trickle(500, now=70.0)

    assert not verdict
    assert watch.stall_limit_seconds == 14.0


def test_a_pause_leaves_the_longest_gap_as_it_was() -> None:
    watch = FlowWatch(LinkMemory(), now=0.0)

    watch.paused(now=60.0)
    watch.is_trickle(1, now=61.0)

    assert watch.stall_limit_seconds == 5.0


@pytest.mark.parametrize(("timeouts", "seconds"), [(0, 14.0), (1, 28.0), (3, 56.0), (100, 60.0)])
def test_an_answer_may_take_longer_after_each_that_did_not_come(timeouts: int, seconds: float) -> None:
    assert first_byte_limit(timeouts) == seconds


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1e6)), max_size=30))
def test_the_best_rate_is_the_best_of_the_last_five_minutes(steps: list[tuple[float, float]]) -> None:
    memory = LinkMemory()
    now = 0.0
    seen: list[tuple[float, float]] = []

    for pause, rate in steps:
        now += pause
        memory.saw(rate, now=now)
        seen.append((now, rate))

        assert memory.best(now=now) == max(rate for when, rate in seen if now - when <= MEMORY_SECONDS)


def test_a_share_of_a_link_that_one_connection_filled_is_no_trickle() -> None:
    memory = memory_of((0.0, 100.0))
    for _ in range(4):
        memory.began()
    watch = FlowWatch(memory, now=0.0)

    assert not watch.is_trickle(250, now=10.0)


def test_requests_that_have_ended_explain_no_trickle() -> None:
    memory = memory_of((0.0, 100.0))
    for _ in range(4):
        memory.began()
    for _ in range(4):
        memory.ended()

    assert memory.sharing == 1
    assert FlowWatch(memory, now=0.0).is_trickle(250, now=10.0)


def test_where_answers_are_slow_because_of_our_other_streams_they_may_take_longer() -> None:
    assert first_byte_limit(0, slowest_seconds=3.0) == 24.0


def test_a_pace_looks_back_one_or_two_seconds() -> None:
    pace = Pace(0, now=0.0)
    for step in range(1, 101):
        pace.saw(step, now=step / 10)
    for step in range(1, 31):
        pace.saw(100 + 10 * step, now=10 + step / 10)

    assert pace.rate == pytest.approx(100.0)
    assert 1.0 <= pace.seconds <= 2.1


def test_a_pace_of_no_time_is_none() -> None:
    assert Pace(0, now=0.0).rate == 0.0
