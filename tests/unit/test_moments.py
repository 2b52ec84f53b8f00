"""Moments as docker's users write them."""

from __future__ import annotations

import pytest

from headway.errors import InvalidTimeError
from headway.service.queries.moments import SECOND, parse_moment

NOW = 1_800_000_000 * SECOND


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1700000000", 1_700_000_000 * SECOND),
        ("0", 0),
        ("-1", -SECOND),
        ("-1.5", -SECOND + 500_000_000),  # as Go's time.Unix(-1, 500000000)
        ("1700000000.5", 1_700_000_000 * SECOND + 500_000_000),
        ("1700000000.000000001", 1_700_000_000 * SECOND + 1),
        ("2023-11-14T22:13:20Z", 1_700_000_000 * SECOND),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000 * SECOND + 123_456_789),
        ("2023-11-15T00:13:20+02:00", 1_700_000_000 * SECOND),
        ("2023-11-14T22:13Z", 1_699_999_980 * SECOND),
        ("2023-11-14T22Z", 1_699_999_200 * SECOND),
        ("2023-11-14Z", 1_699_920_000 * SECOND),
        ("2023-11-14+01:00", 1_699_916_400 * SECOND),  # and not one o'clock
        ("2023-11-14-07:00", 1_699_945_200 * SECOND),
        ("1h30m", NOW - 5_400 * SECOND),
        ("10m", NOW - 600 * SECOND),
        ("1.5s", NOW - 1_500_000_000),
        (".5s", NOW - 500_000_000),
        ("-10m", NOW + 600 * SECOND),
        ("2d", NOW - 172_800 * SECOND),
        ("250ms", NOW - 250_000_000),
    ],
)
def test_a_moment_is_exact_to_the_nanosecond(text: str, moment: int) -> None:
    assert parse_moment(text, now=NOW) == moment


def test_without_a_zone_it_is_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import time  # noqa: PLC0415 - only this test changes the zone

    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1")
        time.tzset()
        moments = [parse_moment(text, now=NOW) for text in ("2023-11-14T23:13:20", "2023-11-14T23:13", "2023-11-14")]
    time.tzset()

    assert moments == [(1_700_000_000 - lower) * SECOND for lower in (0, 20, 80_000 + 3_600)]


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "1m1", "2023-13-01", "2023-11-14T25:00Z", "9999-99-99", "1h-3m", "-5x", "٣s", "٣"],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InvalidTimeError, match="invalid time"):
        parse_moment(text, now=NOW)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("999999999999", 2**63 - 1),
        ("9999-12-31T23:59:59Z", 2**63 - 1),
        ("0001-01-02T00:00:00Z", 1 - 2**63),
        ("-" + "9" * 400 + "h", 2**63 - 1),
        ("9" * 400 + "h", NOW - (2**63 - 1)),
    ],
    ids=["seconds", "the last day", "the first day", "far ahead", "long ago"],
)
def test_what_does_not_fit_is_the_first_or_the_last_moment_that_does(text: str, moment: int) -> None:
    assert parse_moment(text, now=NOW) == moment
