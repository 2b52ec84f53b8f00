"""How long to wait for a connection, for TLS and for an answer."""

from __future__ import annotations

import pytest

from headway.distribution.patience import Patience


def test_a_wait_that_was_too_short_is_doubled_up_to_a_minute() -> None:
    subject, waits = Patience(), []
    for _ in range(5):
        waits.append(subject.seconds("r", "hello"))
        subject.too_short("r", "hello")

    assert waits == [9.0, 18.0, 36.0, 60.0, 60.0]
    assert (subject.seconds("r", "answer"), subject.seconds("another", "hello")) == (15.0, 9.0)


def test_who_has_to_store_something_is_given_ten_minutes_in_the_end_however_quickly_questions_are_answered() -> None:
    subject, waits = Patience(), []
    for _ in range(7):
        waits.append(subject.seconds("r", "storing"))
        subject.too_short("r", "storing")
        for other in ("answer", "piece"):
            subject.took("r", other, 0.01)

    assert waits == [15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 600.0]


@pytest.mark.parametrize(("took", "then"), [(0.1, 9.0), (2.0, 9.0), (5.0, 20.0), (20.0, 60.0)])
def test_what_took_long_is_given_time_from_then_on(took: float, then: float) -> None:
    subject = Patience()
    subject.too_short("r", "hello")
    subject.took("r", "hello", took)

    assert subject.seconds("r", "hello") == then


def test_a_handshake_of_twenty_seconds_is_waited_for_in_the_end() -> None:
    subject, tries = Patience(), 1
    while subject.seconds("r", "hello") < 20.0:
        subject.too_short("r", "hello")
        tries += 1

    assert tries == 3
