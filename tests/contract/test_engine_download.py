"""Answers that are made while they are sent."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator

import pytest
from aiohttp import web

from headway.engine.call import Call
from headway.engine.download import sent
from headway.engine.listeners import listen_tcp
from headway.engine.routing import Route
from headway.errors import StoreError
from tests.fakes.engine import answer_to, serving


async def answer_of(
    pieces: Iterator[bytes], *, compress: bool = False, version: str = "1.0", taken: str = "gzip, deflate"
) -> tuple[bytes, bytes]:
    """Return head and body of the answer to a client that takes encodings."""

    async def handler(call: Call) -> web.StreamResponse:
        return await sent(call, pieces, "application/x-tar", compress=compress)

    (listener,) = listen_tcp("127.0.0.1", 0)
    headers = f"Host: localhost\r\nConnection: close\r\nAccept-Encoding: {taken}"
    async with serving(listener, [Route("GET", "/x", handler)]), asyncio.timeout(10):
        answer = await answer_to(listener, f"GET /x HTTP/{version}\r\n{headers}\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


async def test_an_archive_goes_as_it_is_though_the_client_would_unpack_it() -> None:
    head, body = await answer_of(iter([b"a" * 1000, b"b" * 1000]))

    assert b"Content-Encoding" not in head
    assert body == b"a" * 1000 + b"b" * 1000


async def test_what_docker_compresses_goes_compressed_to_who_takes_it() -> None:
    head, body = await answer_of(iter([b"a" * 1000, b"b" * 1000]), compress=True)

    assert b"Content-Encoding: gzip" in head
    assert gzip.decompress(body) == b"a" * 1000 + b"b" * 1000


@pytest.mark.parametrize("taken", ["identity", "gzip;q=0", "x-gzipped"])
async def test_what_a_client_does_not_take_is_not_sent(taken: str) -> None:
    head, body = await answer_of(iter([b"a" * 1000]), compress=True, taken=taken)

    assert b"Content-Encoding" not in head
    assert body == b"a" * 1000


async def test_an_answer_that_fails_before_its_first_piece_is_an_error() -> None:
    def broken(number: int) -> bytes:
        raise StoreError("the disk is gone")

    head, body = await answer_of(map(broken, range(1)))

    assert head.split()[1] == b"500"
    assert b"the disk is gone" in body


async def test_an_answer_that_fails_later_is_cut_short_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Iterator[bytes]:
        yield b"begun" * 1000
        raise StoreError("the disk is gone")

    head, body = await answer_of(broken(), version="1.1")

    assert head.split()[1] == b"200"
    assert b"begun" in body
    assert not body.endswith(b"0\r\n\r\n")
    assert ["an answer was cut short: the disk is gone" in record.getMessage() for record in caplog.records] == [True]
