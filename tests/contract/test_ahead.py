"""What is expanded beside the unpacking."""

from __future__ import annotations

import threading
from collections.abc import Generator
from itertools import islice

import pytest

from headway.errors import InvalidLayerError
from headway.layers.ahead import ALONE, WAITING, Ahead


def test_the_pieces_come_in_order_and_to_the_end() -> None:
    def pieces() -> Generator[bytes, None, None]:
        yield from (bytes([number]) for number in range(100))

    with Ahead(pieces()) as ahead:
        given = list(ahead)

    assert given == list(pieces())


@pytest.mark.parametrize("good", [1, ALONE, ALONE + 1])
def test_an_error_comes_behind_the_pieces_before_it(good: int) -> None:
    def pieces() -> Generator[bytes, None, None]:
        yield from [b"good"] * good
        raise InvalidLayerError("broken")

    given: list[bytes] = []
    with Ahead(pieces()) as ahead, pytest.raises(InvalidLayerError, match="broken"):
        given.extend(ahead)

    assert given == [b"good"] * good


@pytest.mark.parametrize("count", [0, 1, ALONE - 1])
def test_a_small_layer_starts_no_thread(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def pieces() -> Generator[bytes, None, None]:
        yield from [b"x"] * count

    monkeypatch.setattr(threading, "Thread", None)

    with Ahead(pieces()) as ahead:
        assert list(ahead) == [b"x"] * count


def test_only_a_few_pieces_are_made_ahead() -> None:
    made = 0
    waiting = threading.Event()

    def pieces() -> Generator[bytes, None, None]:
        nonlocal made
        for _ in range(100):
            made += 1
            if made > ALONE + WAITING:
                waiting.set()
            yield b"x"

    with Ahead(pieces()) as ahead:
        taken = list(islice(ahead, ALONE + 1))
        waiting.wait(5)

        assert len(taken) + WAITING <= made <= len(taken) + WAITING + 1


@pytest.mark.parametrize("taken", [1, ALONE + 1])
def test_leaving_early_ends_the_iterator(taken: int) -> None:
    ended = threading.Event()

    def pieces() -> Generator[bytes, None, None]:
        try:
            while True:
                yield b"x"
        finally:
            ended.set()

    with Ahead(pieces()) as ahead:
        assert len(list(islice(ahead, taken))) == taken

    assert ended.wait(5)
