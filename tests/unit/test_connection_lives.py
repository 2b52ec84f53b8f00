"""How far connections are trusted with an upload."""

from __future__ import annotations

from collections.abc import Callable

from headway.distribution.connection_lives import (
    ANSWERED_SECONDS,
    FRESH_SECONDS,
    MIN_PIECE_BYTES,
    PIECE_BYTES,
    UNPROVED_BYTES,
    ConnectionLives,
    Life,
)
from headway.errors import Fault

HOST = "registry.test"


def _cut(lives: ConnectionLives, carried: int, *, now: float, handed_over: int = 1) -> None:
    lives.lost(HOST, "some", Fault.CUT, carried=carried, handed_over=handed_over, size=PIECE_BYTES, now=now)


def _unanswered(lives: ConnectionLives, size: int) -> None:
    lives.lost(HOST, "some", Fault.TIMEOUT, carried=0, handed_over=size, size=size, now=1.0)


def test_where_nothing_is_known_one_upload_explores() -> None:
    lives = ConnectionLives()
    lives.begin(HOST, "first")
    lives.begin(HOST, "second")

    assert lives.allowance(HOST, "first") is None
    assert lives.allowance(HOST, "second") == UNPROVED_BYTES


def test_the_others_go_as_far_as_some_connection_has_gone() -> None:
    lives = ConnectionLives()
    lives.begin(HOST, "first")

    lives.brought(HOST, "some", 50 * PIECE_BYTES, size=PIECE_BYTES, seconds=1.0)
    lives.brought(HOST, "some", PIECE_BYTES, size=PIECE_BYTES, seconds=1.0)

    assert lives.allowance(HOST, "second") == 50 * PIECE_BYTES


def test_pieces_grow_with_what_a_connection_has_carried_where_they_go_quickly() -> None:
    lives = ConnectionLives()

    sizes = []
    for pieces in (1, 8, 16, 64, 1000):
        lives.brought(HOST, "some", pieces * PIECE_BYTES, size=PIECE_BYTES, seconds=0.01)
        sizes.append(lives.piece(HOST) // PIECE_BYTES)

    assert sizes == [1, 1, 2, 8, 8]
    assert lives.piece("other.test") == PIECE_BYTES


def test_no_piece_takes_longer_than_half_a_second_as_far_as_was_seen() -> None:
    lives = ConnectionLives()

    sizes = []
    for seconds in (0.01, 0.25, 2.0):
        lives.brought(HOST, "some", 1000 * PIECE_BYTES, size=PIECE_BYTES, seconds=seconds)
        sizes.append(lives.piece(HOST) // PIECE_BYTES)

    assert sizes == [8, 2, 1]


def test_where_a_life_was_seen_pieces_stay_small() -> None:
    lives = ConnectionLives()
    lives.brought(HOST, "some", 1000 * PIECE_BYTES, size=PIECE_BYTES, seconds=0.01)

    _cut(lives, 1000 * PIECE_BYTES, now=1.0)

    assert lives.piece(HOST) == PIECE_BYTES


def test_when_the_explorer_has_ended_the_next_one_that_begins_explores() -> None:
    lives = ConnectionLives()
    lives.begin(HOST, "first")
    lives.begin(HOST, "second")
    lives.end(HOST, "second")
    lives.end(HOST, "first")
    lives.begin(HOST, "third")

    assert lives.allowance(HOST, "third") is None
    assert lives.allowance(HOST, "second") == UNPROVED_BYTES


def test_the_shortest_life_holds_for_all() -> None:
    lives = ConnectionLives()
    lives.begin(HOST, "first")

    _cut(lives, 4 * PIECE_BYTES, now=1.0)
    _cut(lives, 7 * PIECE_BYTES, now=2.0)

    assert {lives.allowance(HOST, who) for who in ("first", "second")} == {4 * PIECE_BYTES}
    assert lives.allowance("other.test", "first") == UNPROVED_BYTES


def test_where_not_one_piece_comes_over_pieces_become_smaller() -> None:
    lives = ConnectionLives()

    sizes = []
    for _ in range(8):
        _cut(lives, 0, now=1.0)
        sizes.append(lives.piece(HOST))

    assert sizes[:3] == [PIECE_BYTES, PIECE_BYTES // 2, PIECE_BYTES // 4]  # the first goes over a new one once more
    assert sizes[-1] == MIN_PIECE_BYTES


def test_behind_a_piece_lost_with_its_connection_s_first_the_upload_s_next_gets_a_new_connection() -> None:
    lives, allowances = ConnectionLives(), []
    steps: list[Callable[[], None]] = [
        lambda: _cut(lives, 0, now=1.0, handed_over=0),
        lambda: _unanswered(lives, 100),
        lambda: _cut(lives, 0, now=1.0),
        lambda: lives.brought(HOST, "some", PIECE_BYTES, size=PIECE_BYTES, seconds=1.0),
        lambda: _cut(lives, 0, now=1.0),
        lambda: lives.end(HOST, "some"),
    ]

    for step in steps:
        step()
        allowances.append((lives.allowance(HOST, "some"), lives.allowance(HOST, "other")))

    assert [some == 0 for some, _ in allowances] == [True, False, True, False, True, False]
    assert all(other for _, other in allowances)
    assert (lives.piece(HOST), lives.take_new()) == (PIECE_BYTES, {})


def test_a_cut_before_anything_of_a_piece_had_gone_says_nothing_of_lives() -> None:
    lives = ConnectionLives()

    for carried in (0, 0, PIECE_BYTES):
        _cut(lives, carried, now=1.0, handed_over=0)

    assert (lives.piece(HOST), lives.take_new()) == (PIECE_BYTES, {})


def test_a_timeout_in_the_middle_of_a_piece_leaves_pieces_as_large_as_they_are() -> None:
    lives = ConnectionLives()

    lives.lost(HOST, "some", Fault.TIMEOUT, carried=0, handed_over=PIECE_BYTES - 1, size=PIECE_BYTES, now=1.0)

    assert lives.piece(HOST) == PIECE_BYTES


def test_what_was_seen_is_given_out_once() -> None:
    lives = ConnectionLives()
    _cut(lives, PIECE_BYTES, now=7.0)

    assert lives.take_new() == {HOST: Life(PIECE_BYTES, PIECE_BYTES, 7.0)}
    assert lives.take_new() == {}


def test_what_earlier_processes_saw_holds_for_a_week() -> None:
    known = {HOST: Life(PIECE_BYTES, PIECE_BYTES // 2, seen=1000.0)}

    fresh = ConnectionLives(known, now=1000.0 + FRESH_SECONDS - 1)
    stale = ConnectionLives(known, now=1000.0 + FRESH_SECONDS)
    from_the_future = ConnectionLives(known, now=999.0)

    assert (fresh.allowance(HOST, "x"), fresh.piece(HOST)) == (PIECE_BYTES, PIECE_BYTES // 2)
    assert (stale.allowance(HOST, "x"), stale.piece(HOST)) == (UNPROVED_BYTES, PIECE_BYTES)
    assert from_the_future.allowance(HOST, "x") == UNPROVED_BYTES


def test_a_piece_that_nobody_answers_in_time_makes_the_next_ones_smaller() -> None:
    lives = ConnectionLives()

    sizes = []
    for _ in range(7):
        sizes.append(lives.piece(HOST))
        _unanswered(lives, lives.piece(HOST))
    lives.brought(HOST, "some", 1000 * PIECE_BYTES, size=MIN_PIECE_BYTES, seconds=ANSWERED_SECONDS + 0.1)

    assert sizes == [PIECE_BYTES >> shift for shift in range(6)] + [MIN_PIECE_BYTES]
    assert lives.piece(HOST) == MIN_PIECE_BYTES


def test_a_link_that_was_silent_a_few_times_makes_pieces_small_for_no_longer_than_it_takes_to_see_it() -> None:
    lives, sizes = ConnectionLives(), []
    for _ in range(5):
        _unanswered(lives, lives.piece(HOST))

    for _ in range(7):
        sizes.append(lives.piece(HOST))
        lives.brought(HOST, "some", 0, size=sizes[-1] // 2, seconds=0.1)  # a rest: nothing of larger ones
        lives.brought(HOST, "some", 0, size=sizes[-1], seconds=0.6)  # a far registry

    assert sizes == [MIN_PIECE_BYTES << shift for shift in range(6)] + [PIECE_BYTES]


def test_of_pieces_that_nobody_answered_the_smallest_counts_and_none_that_could_not_be_smaller() -> None:
    lives = ConnectionLives()

    _unanswered(lives, 100)
    before = lives.piece(HOST)
    _unanswered(lives, PIECE_BYTES // 2)
    _unanswered(lives, PIECE_BYTES)  # another upload's, which began earlier

    assert (before, lives.piece(HOST)) == (PIECE_BYTES, PIECE_BYTES // 4)
