"""How far connections are trusted with an upload."""

from __future__ import annotations

from headway.distribution.connection_lives import (
    ANSWERED_SECONDS,
    FRESH_SECONDS,
    MIN_PIECE_BYTES,
    PIECE_BYTES,
    UNPROVED_BYTES,
    ConnectionLives,
    Life,
)

HOST = "registry.test"


def test_where_nothing_is_known_one_upload_explores() -> None:
    lives = ConnectionLives()
    lives.begin(HOST, "first")
    lives.begin(HOST, "second")

    assert lives.allowance(HOST, "first") is None
    assert lives.allowance(HOST, "second") == UNPROVED_BYTES


def test_the_others_go_as_far_as_some_connection_has_gone() -> None:
    lives = ConnectionLives()
    lives.begin(HOST, "first")

    lives.brought(HOST, 50 * PIECE_BYTES, size=PIECE_BYTES, seconds=1.0)
    lives.brought(HOST, PIECE_BYTES, size=PIECE_BYTES, seconds=1.0)

    assert lives.allowance(HOST, "second") == 50 * PIECE_BYTES


def test_pieces_grow_with_what_a_connection_has_carried_where_they_go_quickly() -> None:
    lives = ConnectionLives()

    sizes = []
    for pieces in (1, 8, 16, 64, 1000):
        lives.brought(HOST, pieces * PIECE_BYTES, size=PIECE_BYTES, seconds=0.01)
        sizes.append(lives.piece(HOST) // PIECE_BYTES)

    assert sizes == [1, 1, 2, 8, 8]
    assert lives.piece("other.test") == PIECE_BYTES


def test_no_piece_takes_longer_than_half_a_second_as_far_as_was_seen() -> None:
    lives = ConnectionLives()

    sizes = []
    for seconds in (0.01, 0.25, 2.0):
        lives.brought(HOST, 1000 * PIECE_BYTES, size=PIECE_BYTES, seconds=seconds)
        sizes.append(lives.piece(HOST) // PIECE_BYTES)

    assert sizes == [8, 2, 1]


def test_where_a_life_was_seen_pieces_stay_small() -> None:
    lives = ConnectionLives()
    lives.brought(HOST, 1000 * PIECE_BYTES, size=PIECE_BYTES, seconds=0.01)

    lives.cut(HOST, 1000 * PIECE_BYTES, now=1.0)

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

    lives.cut(HOST, 4 * PIECE_BYTES, now=1.0)
    lives.cut(HOST, 7 * PIECE_BYTES, now=2.0)

    assert {lives.allowance(HOST, who) for who in ("first", "second")} == {4 * PIECE_BYTES}
    assert lives.allowance("other.test", "first") == UNPROVED_BYTES


def test_where_not_one_piece_comes_over_pieces_become_smaller() -> None:
    lives = ConnectionLives()

    sizes = []
    for _ in range(7):
        lives.cut(HOST, 0, now=1.0)
        sizes.append(lives.piece(HOST))

    assert sizes[:2] == [PIECE_BYTES // 2, PIECE_BYTES // 4]
    assert sizes[-1] == MIN_PIECE_BYTES


def test_what_was_seen_is_given_out_once() -> None:
    lives = ConnectionLives()
    lives.cut(HOST, PIECE_BYTES, now=7.0)

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
        lives.unanswered(HOST, lives.piece(HOST))
    lives.brought(HOST, 1000 * PIECE_BYTES, size=MIN_PIECE_BYTES, seconds=ANSWERED_SECONDS + 0.1)

    assert sizes == [PIECE_BYTES >> shift for shift in range(6)] + [MIN_PIECE_BYTES]
    assert lives.piece(HOST) == MIN_PIECE_BYTES


def test_a_link_that_was_silent_a_few_times_makes_pieces_small_for_no_longer_than_it_takes_to_see_it() -> None:
    lives, sizes = ConnectionLives(), []
    for _ in range(5):
        lives.unanswered(HOST, lives.piece(HOST))

    for _ in range(7):
        sizes.append(lives.piece(HOST))
        lives.brought(HOST, 0, size=sizes[-1] // 2, seconds=0.1)  # a layer's rest, which says nothing of larger ones
        lives.brought(HOST, 0, size=sizes[-1], seconds=0.6)  # a far registry

    assert sizes == [MIN_PIECE_BYTES << shift for shift in range(6)] + [PIECE_BYTES]


def test_of_pieces_that_nobody_answered_the_smallest_counts_and_none_that_could_not_be_smaller() -> None:
    lives = ConnectionLives()

    lives.unanswered(HOST, 100)
    before = lives.piece(HOST)
    lives.unanswered(HOST, PIECE_BYTES // 2)
    lives.unanswered(HOST, PIECE_BYTES)  # another upload's, which began earlier

    assert (before, lives.piece(HOST)) == (PIECE_BYTES, PIECE_BYTES // 4)
