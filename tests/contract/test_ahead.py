"""What is expanded beside the unpacking."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from headway.errors import InvalidLayerError
from headway.layers.ahead import WAITING, Ahead


def test_the_pieces_come_in_order_and_to_the_end() -> None:
    def pieces() -> Generator[bytes, None, None]:
        yield from (bytes([number]) for number in range(100))

    with Ahead(pieces()) as ahead:
        given = list(ahead)

    assert given == list(pieces())


def test_an_error_comes_behind_the_pieces_before_it() -> None:
    def pieces() -> Generator[bytes, None, None]:
        yield b"good"
        raise InvalidLayerError("broken")

    given: list[bytes] = []
    with Ahead(pieces()) as ahead, pytest.raises(InvalidLayerError, match="broken"):
        given.extend(ahead)

    assert given == [b"good"]


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
        next(iter(ahead))
        waiting.wait(5)

        assert made <= WAITING + 2


def test_leaving_early_ends_the_thread() -> None:
    ended = threading.Event()

    def pieces() -> Generator[bytes, None, None]:
        try:
            while True:
                yield b"x"
        finally:
            ended.set()

    with Ahead(pieces()) as ahead:
        next(iter(ahead))

    assert ended.wait(5)
