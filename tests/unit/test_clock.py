"""Whether it is this machine's clock that a certificate is not valid by."""

from __future__ import annotations

import pytest

from headway.distribution.clock import ClockWatch, Complaint, is_clock_wrong

TODAY = 1_790_000_000.0
DAY = 86_400.0


@pytest.mark.parametrize(
    ("complaint", "here", "there", "wrong"),
    [
        ("not yet valid", 0.0, TODAY, True),
        ("not yet valid", TODAY, TODAY, False),
        ("not yet valid", TODAY + DAY, TODAY, False),
        ("expired", TODAY + 4000 * DAY, TODAY, True),
        ("expired", TODAY, TODAY, False),
        ("expired", 0.0, TODAY, False),
        ("not yet valid", TODAY - 60, TODAY, False),
    ],
)
def test_the_clock_is_blamed_where_the_servers_explains_it(
    complaint: Complaint, here: float, there: float, *, wrong: bool
) -> None:
    assert is_clock_wrong(complaint, here=here, there=there) is wrong


@pytest.mark.parametrize(
    ("wall", "now", "said"),
    [
        (1000.0, 100.0, "behind"),
        (1030.0, 130.0, "behind"),
        (TODAY, 130.0, ""),
        (1061.0, 161.0, ""),
    ],
)
def test_nobody_is_asked_again_before_the_clock_was_set_or_a_minute_has_passed(
    wall: float, now: float, said: str
) -> None:
    subject = ClockWatch()
    subject.found_wrong("r", "behind", wall=1000.0, now=100.0)

    assert subject.still_wrong("r", wall=wall, now=now) == said
    assert subject.still_wrong("another", wall=wall, now=now) == ""
