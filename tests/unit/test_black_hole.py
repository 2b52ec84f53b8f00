"""Links on which large packets vanish."""

from __future__ import annotations

from headway.distribution.black_hole import SMALL_SEGMENT_BYTES as SMALL
from headway.distribution.black_hole import BlackHole


def asked(subject: BlackHole, swallowed: int) -> list[int]:
    """Return what is asked for before and after each of so many connections that bring nothing large."""
    sizes = [subject.segment_bytes("r")]
    for _ in range(swallowed):
        subject.swallowed("r")
        sizes.append(subject.segment_bytes("r"))
    return sizes


def test_two_connections_that_bring_nothing_large_make_the_next_ones_ask_for_small_packets() -> None:
    assert asked(BlackHole(), 2) == [0, 0, SMALL]


def test_where_that_does_not_help_both_are_tried_in_turn() -> None:
    assert asked(BlackHole(), 6) == [0, 0, SMALL, SMALL, 0, 0, SMALL]


def test_what_helped_stays() -> None:
    subject = BlackHole()
    asked(subject, 3)
    subject.passed("r")

    assert asked(subject, 1) == [SMALL, SMALL]


def test_what_passes_without_help_needs_none() -> None:
    subject = BlackHole()
    asked(subject, 1)
    subject.passed("r")

    assert asked(subject, 1) == [0, 0]
