"""Which unfinished downloads go."""

from __future__ import annotations

from headway.distribution.unfinished import Limits, Unfinished, too_much, too_old
from headway.oci.digest import Digest

NOW = 1_000_000.0
A, B, C = (Unfinished(Digest.of(name), 100, NOW - age) for name, age in ((b"a", 30), (b"b", 20), (b"c", 10)))
FOUND = [B, C, A]


def test_without_limits_nothing_goes() -> None:
    assert too_old(FOUND, Limits(), now=NOW, needed=()) == []
    assert too_much(FOUND, Limits(), needed=()) == []


def test_what_is_older_than_the_limit_goes_oldest_first() -> None:
    assert too_old(FOUND, Limits(max_age_seconds=15), now=NOW, needed=()) == [A, B]
    assert too_old(FOUND, Limits(max_age_seconds=30), now=NOW, needed=()) == []


def test_what_is_needed_stays_however_old() -> None:
    assert too_old(FOUND, Limits(max_age_seconds=0), now=NOW, needed={A.digest}) == [B, C]


def test_what_a_clock_that_was_wrong_wrote_in_the_future_is_new() -> None:
    assert too_old(FOUND, Limits(max_age_seconds=5), now=NOW - 1_000, needed=()) == []


def test_the_oldest_go_until_the_rest_keeps_the_limit() -> None:
    assert too_much(FOUND, Limits(max_bytes=300), needed=()) == []
    assert too_much(FOUND, Limits(max_bytes=299), needed=()) == [A]
    assert too_much(FOUND, Limits(max_bytes=100), needed=()) == [A, B]
    assert too_much(FOUND, Limits(max_bytes=0), needed=()) == [A, B, C]


def test_what_is_needed_counts_and_stays() -> None:
    assert too_much(FOUND, Limits(max_bytes=100), needed={A.digest}) == [B, C]
