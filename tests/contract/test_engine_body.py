"""A request's body, read by blocking code."""

from __future__ import annotations

import asyncio
import ssl
import time

import pytest
from aiohttp import web

from headway.engine.body import BodyLostError, BodySource, with_body
from headway.engine.call import Call
from headway.engine.listeners import listen_tcp
from headway.engine.routing import Route
from headway.errors import ConflictError
from tests.fakes.engine import answer_to, serving


async def answer_of(handler: object, request: bytes, *, leave: bool = False) -> bytes:
    (listener,) = listen_tcp("127.0.0.1", 0)
    async with serving(listener, [Route("PUT", "/x", handler)]), asyncio.timeout(10):  # type: ignore[arg-type]
        if not leave:
            return await answer_to(listener, request)
        _, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(request)
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
        return b""


def put(body: bytes, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return b"PUT /x HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % length + body


def read_all(source: BodySource) -> bytes:
    data = bytearray()
    while piece := source.read(1000):
        data += piece
        assert len(piece) <= 1000
    return bytes(data)


async def test_a_thread_reads_what_the_loop_receives() -> None:
    body = bytes(range(256)) * 4000

    async def handler(call: Call) -> web.StreamResponse:
        return web.Response(body=await with_body(call.request, read_all))

    assert (await answer_of(handler, put(body))).endswith(body)


async def test_what_the_work_raises_is_the_answer_though_the_body_goes_on() -> None:
    def refuse(source: BodySource) -> None:
        source.read(10)
        raise ConflictError("no more of that")

    async def handler(call: Call) -> web.StreamResponse:
        await with_body(call.request, refuse)
        return web.Response()

    answer = await answer_of(handler, put(b"x" * 100_000))

    assert b" 409 " in answer
    assert b"no more of that" in answer


async def test_work_whose_client_leaves_is_told_and_ends() -> None:
    told: list[BaseException] = []

    def work(source: BodySource) -> None:
        try:
            read_all(source)
        except BodyLostError as error:
            told.append(error)
            raise

    async def handler(call: Call) -> web.StreamResponse:
        await with_body(call.request, work)
        return web.Response()

    await answer_of(handler, put(b"x" * 100, length=1_000_000), leave=True)

    for _ in range(100):
        if told:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the work still waits")


@pytest.mark.parametrize(
    "lost", [TimeoutError(110, "timed out"), ssl.SSLError(1, "bad record"), ConnectionResetError()]
)
async def test_a_connection_that_breaks_whatever_way_is_no_bug(caplog: pytest.LogCaptureFixture, lost: OSError) -> None:
    ended = asyncio.Event()

    async def handler(call: Call) -> web.StreamResponse:
        break_off = getattr(call.request.transport, "_force_close")  # noqa: B009  # as the loop does it
        asyncio.get_running_loop().call_later(0.1, break_off, lost)
        try:
            await with_body(call.request, read_all)
        finally:
            ended.set()
        return web.Response()

    await answer_of(handler, put(b"x" * 100, length=1_000_000))

    async with asyncio.timeout(5):
        await ended.wait()
    assert [record.getMessage() for record in caplog.records] == []


async def test_clients_that_send_slowly_hold_no_thread_that_others_need() -> None:
    async def slow(call: Call) -> web.StreamResponse:
        await with_body(call.request, read_all)
        return web.Response()

    async def quick(call: Call) -> web.StreamResponse:
        return web.Response(text=await asyncio.to_thread(lambda: "here"))

    (listener,) = listen_tcp("127.0.0.1", 0)
    routes = [Route("PUT", "/slow", slow), Route("GET", "/quick", quick)]
    async with serving(listener, routes), asyncio.timeout(5):
        senders = [await asyncio.open_connection(*listener.getsockname()) for _ in range(40)]
        for _, writer in senders:
            writer.write(b"PUT /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nbegun")
        answer = await answer_to(listener, b"GET /quick HTTP/1.0\r\nHost: localhost\r\n\r\n")
        for _, writer in senders:
            writer.close()

    assert answer.endswith(b"here")


async def test_a_slow_reader_makes_its_client_wait() -> None:
    held: list[int] = []

    def slow(source: BodySource) -> int:
        total = 0
        while piece := source.read(1 << 20):
            held.append(len(source._pieces))
            total += len(piece)
            time.sleep(0.001)
        return total

    async def handler(call: Call) -> web.StreamResponse:
        return web.Response(text=str(await with_body(call.request, slow)))

    answer = await answer_of(handler, put(b"x" * 8_000_000))

    assert answer.endswith(b"8000000")
    assert max(held) <= 4
