"""When a registry may be asked again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.distribution.throttle import MAX_UNSTATED_SECONDS, Throttle


def test_what_one_is_told_holds_for_all_until_the_moment_has_come() -> None:
    subject = Throttle()

    told = subject.refused("r", 30.0, now=100.0)

    assert told == 30.0
    assert [subject.seconds_left("r", now=now) for now in (100.0, 115.0, 130.0, 200.0)] == [30.0, 15.0, 0.0, 0.0]
    assert subject.seconds_left("another", now=100.0) == 0.0


def test_a_shorter_word_does_not_open_the_gate_earlier() -> None:
    subject = Throttle()
    subject.refused("r", 60.0, now=0.0)

    assert subject.refused("r", 2.0, now=1.0) == 59.0


@pytest.mark.parametrize("said", [None, 0.0])
def test_a_registry_that_names_no_time_is_left_alone_longer_each_time(said: float | None) -> None:
    subject, now, waits = Throttle(), 0.0, []
    for _ in range(6):
        waits.append(subject.refused("r", said, now=now))
        now += waits[-1]

    assert waits == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]


def test_requests_that_are_refused_together_count_once() -> None:
    subject = Throttle()

    assert [subject.refused("r", None, now=now) for now in (0.0, 0.1, 0.2)] == [5.0, 4.9, 4.8]


def test_an_answer_starts_the_count_anew_and_leaves_the_gate() -> None:
    subject = Throttle()
    subject.refused("r", None, now=0.0)
    subject.refused("r", None, now=5.0)
    subject.answered("r")

    assert subject.seconds_left("r", now=6.0) == 9.0
    assert subject.refused("r", None, now=15.0) == 5.0


@given(st.lists(st.tuples(st.floats(0, 100), st.one_of(st.none(), st.floats(0, 1000)))))
def test_never_earlier_than_anybody_was_told(story: list[tuple[float, float | None]]) -> None:
    subject, now, latest = Throttle(), 0.0, 0.0
    for pause, seconds in story:
        now += pause
        subject.refused("r", seconds, now=now)
        latest = max(latest, now + (seconds or 0.0))
        assert now + subject.seconds_left("r", now=now) >= latest - 1e-6


def test_a_registry_may_refuse_everything_for_days() -> None:
    subject = Throttle()
    for refusal in range(2000):
        assert subject.refused("r", None, now=refusal * 60.0) <= MAX_UNSTATED_SECONDS

    assert subject.seconds_left("r", now=2000 * 60.0) == 0.0
