"""A tar that is made in pieces."""

from __future__ import annotations

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

from headway.interfaces.files import Pieces


def test_it_ends_where_the_pieces_do_and_not_at_an_empty_one() -> None:
    def pieces() -> Generator[bytes, None, None]:
        yield b"abc"
        yield b""
        yield b"defgh"

    subject = Pieces(pieces())

    assert [subject.read(4) for _ in range(4)] == [b"abc", b"defg", b"h", b""]


def test_who_makes_them_cleans_up_when_nobody_wants_more() -> None:
    cleaned: list[str] = []

    def pieces() -> Generator[bytes, None, None]:
        try:
            yield b"abc"
            yield b"def"
        finally:
            cleaned.append("up")

    subject = Pieces(pieces())
    subject.read(1)
    subject.close()

    assert cleaned == ["up"]


def test_who_leaves_while_another_thread_reads_waits_for_that_piece() -> None:
    making, made = threading.Event(), threading.Event()
    cleaned: list[str] = []

    def pieces() -> Generator[bytes, None, None]:
        try:
            making.set()
            made.wait()
            yield b"abc"
        finally:
            cleaned.append("up")

    subject = Pieces(pieces())
    with ThreadPoolExecutor() as threads:
        read = threads.submit(subject.read, 4)
        making.wait()
        closed = threads.submit(subject.close)
        was_closed = closed.done()
        made.set()

        assert (was_closed, read.result(), closed.result(), cleaned) == (False, b"abc", None, ["up"])


def test_pieces_that_nobody_makes_need_no_cleaning_up() -> None:
    subject = Pieces([b"abc"])

    subject.close()

    assert subject.read(4) == b"abc"
