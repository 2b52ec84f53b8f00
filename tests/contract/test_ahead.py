"""What is expanded and hashed beside the unpacking."""

from __future__ import annotations

import threading
from collections.abc import Generator
from itertools import islice

import pytest

from headway.errors import InvalidLayerError
from headway.layers.unpacking.ahead import WAITING, Ahead, tapped

both = pytest.mark.parametrize("beside", [True, False])


def numbers(count: int) -> Generator[bytes, None, None]:
    yield from (bytes([number]) for number in range(count))


@both
def test_the_pieces_come_in_order_and_each_has_been_tapped(*, beside: bool) -> None:
    shown: list[bytes] = []

    with tapped(numbers(100), shown.append, beside=beside) as pieces:
        given = list(pieces)

    assert given == shown == list(numbers(100))


@both
def test_an_error_comes_behind_the_pieces_before_it(*, beside: bool) -> None:
    def broken() -> Generator[bytes, None, None]:
        yield from [b"good"] * 20
        raise InvalidLayerError("broken")

    given: list[bytes] = []
    with tapped(broken(), lambda _: None, beside=beside) as pieces, pytest.raises(InvalidLayerError, match="broken"):
        given.extend(pieces)

    assert given == [b"good"] * 20


def test_an_error_of_the_tap_reaches_who_iterates() -> None:
    def refuse(piece: bytes) -> None:
        raise ValueError(piece)

    with tapped(numbers(100), refuse, beside=True) as pieces, pytest.raises(ValueError, match="x00"):
        list(pieces)


@both
def test_threads_are_there_only_beside(*, beside: bool) -> None:
    before = set(threading.enumerate())  # of another test, one may be about to end

    with tapped(endless(threading.Event()), lambda _: None, beside=beside) as pieces:
        next(pieces)

        assert len(set(threading.enumerate()) - before) == (2 if beside else 0)


def test_only_a_few_pieces_are_made_ahead() -> None:
    made = 0
    waiting = threading.Event()

    def pieces() -> Generator[bytes, None, None]:
        nonlocal made
        for _ in range(100):
            made += 1
            if made > WAITING:
                waiting.set()
            yield b"x"

    with Ahead(pieces()) as ahead:
        taken = list(islice(ahead, 1))
        waiting.wait(5)

        assert len(taken) + WAITING <= made <= len(taken) + WAITING + 1


def endless(ended: threading.Event) -> Generator[bytes, None, None]:
    try:
        while True:
            yield b"x"
    finally:
        ended.set()


@both
@pytest.mark.parametrize("taken", [0, 1, 3 * WAITING])
def test_leaving_early_ends_the_iterator_and_every_thread(taken: int, *, beside: bool) -> None:
    ended = threading.Event()
    before = set(threading.enumerate())

    with tapped(endless(ended), lambda _: None, beside=beside) as pieces:
        assert len(list(islice(pieces, taken))) == taken
        begun = set(threading.enumerate()) - before

    for thread in begun:
        thread.join(5)
        assert not thread.is_alive()
    assert ended.wait(5) or (not beside and not taken)  # what was never begun has nothing to end


def test_a_stopped_source_ends_every_thread() -> None:
    stopped = threading.Event()
    before = set(threading.enumerate())

    def waiting() -> Generator[bytes, None, None]:
        yield b"x"
        stopped.wait(5)
        raise InterruptedError

    with tapped(waiting(), lambda _: None, beside=True) as pieces:
        assert next(pieces) == b"x"
        begun = set(threading.enumerate()) - before
    stopped.set()

    for thread in begun:
        thread.join(5)
        assert not thread.is_alive()
