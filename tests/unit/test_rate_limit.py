"""A rate that many share and none exceeds, on virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.distribution.rate_limit import SLACK_SECONDS, RateLimit
from headway.service.limits.shared_rate import BUFFERED_BYTES, SharedRate


def test_without_a_limit_nobody_waits() -> None:
    assert RateLimit().took(1 << 30, now=0.0) == 0.0


def test_who_took_much_waits_until_it_was_due() -> None:
    limit = RateLimit(1000.0)
    assert limit.took(500, now=10.0) == pytest.approx(0.5 - SLACK_SECONDS)
    assert limit.took(500, now=10.0) == pytest.approx(1.0 - SLACK_SECONDS)


def test_what_nobody_used_is_lost() -> None:
    limit = RateLimit(1000.0)
    limit.took(1000, now=0.0)
    assert limit.took(1000, now=100.0) == pytest.approx(1.0 - SLACK_SECONDS)


def test_a_new_rate_holds_from_then_on() -> None:
    limit = RateLimit(1000.0)
    limit.took(1000, now=0.0)
    limit.change(2000.0, now=2.0)
    assert limit.took(1000, now=2.0) == pytest.approx(0.5 - SLACK_SECONDS)
    limit.change(None, now=2.0)
    assert limit.took(1000, now=2.0) == 0.0


def test_what_was_due_at_a_rate_that_is_lifted_is_due_at_no_later_one() -> None:
    limit = RateLimit(1000.0)
    limit.took(1 << 20, now=0.0)
    limit.change(None, now=1.0)
    limit.change(1e6, now=2.0)
    assert limit.took(100_000, now=2.0) == pytest.approx(0.1 - SLACK_SECONDS)


@given(
    rate=st.floats(1e3, 1e8),
    pieces=st.lists(st.tuples(st.integers(0, 7), st.integers(1, 1 << 16)), min_size=20, max_size=200),
)
def test_however_many_share_it_no_window_exceeds_the_rate(rate: float, pieces: list[tuple[int, int]]) -> None:
    limit, ready, taken = RateLimit(rate), [0.0] * 8, list[tuple[float, int]]()
    for turn, count in pieces:
        who = min(range(turn + 1), key=lambda each: ready[each])
        now = max(ready[who], taken[-1][0] if taken else 0.0)
        ready[who] = now + limit.took(count, now=now)
        taken.append((now, count))

    largest = max(count for _, count in pieces)
    for begin in range(0, len(taken), 5):
        for end in range(begin, len(taken), 7):
            seconds = taken[end][0] - taken[begin][0]
            received = sum(count for _, count in taken[begin : end + 1])
            assert received <= rate * (seconds + SLACK_SECONDS) + 9 * largest  # one piece each is under way


class Hours:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_thread_waits_as_long_as_the_rate_wants_and_no_longer_than_anybody_cares() -> None:
    hours = Hours()
    shared = SharedRate(1000, clock=hours, sleep=hours.sleep)
    shared.wait(2000)
    assert hours.now == pytest.approx(2.0)

    shared.wait(100_000, is_over=lambda: hours.now > 5.0)
    assert hours.now == pytest.approx(5.0, abs=0.2)


def test_a_limit_that_is_lifted_ends_the_waiting() -> None:
    hours = Hours()

    def sleep(seconds: float) -> None:
        hours.sleep(seconds)
        shared.set(0)

    shared = SharedRate(10, clock=hours, sleep=sleep)
    shared.wait(1000)
    assert hours.now < 1.0


def test_a_rate_that_is_raised_shortens_the_waiting_that_is_under_way_and_what_comes_next() -> None:
    hours = Hours()

    def sleep(seconds: float) -> None:
        hours.sleep(seconds)
        shared.set(1_000_000)

    shared = SharedRate(1000, clock=hours, sleep=sleep)
    shared.wait(100_000)
    shared.wait(100_000)
    assert hours.now < 0.5


def test_a_rate_that_is_lowered_holds_for_what_comes_next() -> None:
    hours = Hours()
    shared = SharedRate(1_000_000, clock=hours, sleep=hours.sleep)
    shared.wait(100_000)
    shared.set(1000)
    shared.wait(1000)
    assert hours.now == pytest.approx(1.1)


def test_a_request_pays_before_it_is_sent_for_what_will_lie_in_buffers() -> None:
    hours = Hours()
    shared = SharedRate(1_000_000, clock=hours, sleep=hours.sleep)
    assert SharedRate().prepay(1 << 30) == 0
    assert shared.prepay(1000) == 1000
    assert shared.prepay(1 << 30) == BUFFERED_BYTES
    assert hours.now == pytest.approx((1000 + BUFFERED_BYTES) / 1e6)
