"""The Engine API's server before good clients, bad ones, and web pages."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from aiohttp import web

from headway.engine import call as engine_call
from headway.engine import connections
from headway.engine.answers import document
from headway.engine.call import Call
from headway.engine.listeners import Address, listen_tcp, listen_unix, passed_sockets
from headway.engine.messages import Emit, said
from headway.engine.routing import Handler, Route
from headway.engine.server import EngineServer
from headway.engine.stream import Line, streamed
from headway.errors import ConflictError, InvalidSettingError, NotFoundError
from tests.fakes import engine


def serving(handler: Handler, listener: socket.socket, *, method: str = "GET") -> AbstractAsyncContextManager[None]:
    """Answer `/x` with `handler`."""
    return engine.serving(listener, [Route(method, "/x", handler)])


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str
) -> tuple[int, dict[str, str], bytes]:
    writer.write(text.replace("\n", "\r\n").encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    length = int(headers.get("content-length", "0"))
    return int(head[0].split()[1]), headers, await reader.readexactly(length)


async def ok(call: Call) -> web.StreamResponse:
    return web.Response(text="OK")


async def echo(call: Call) -> web.StreamResponse:
    return web.Response(body=await call.body(100))


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


async def ask(listener: socket.socket, text: str) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(listener))
    try:
        return await exchange(reader, writer, text)
    finally:
        writer.close()


async def answered(text: str, handler: Handler = ok, *, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Return what a server that has one handler, for `/x`, answers to a request on a connection of its own."""
    (listener,) = listen_tcp("127.0.0.1", 0)
    async with serving(handler, listener, method=method), asyncio.timeout(60):
        return await ask(listener, text)


async def test_a_routed_answer_carries_dockers_headers_and_an_unrouted_one_does_not() -> None:
    (listener,) = listen_tcp("127.0.0.1", 0)
    async with serving(ok, listener):
        status, headers, body = await ask(listener, "GET /v1.41/x HTTP/1.1\nHost: localhost\n\n")
        missing, bare, text = await ask(listener, "POST /x HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n")

    assert (status, body, headers["api-version"], headers["ostype"]) == (200, b"OK", "1.51", "linux")
    assert headers["docker-experimental"] == "false"
    assert (missing, text) == (404, b'{"message":"page not found"}\n')
    assert "api-version" not in bare


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [("/v1.99/x", 400, "client version 1.99 is too new"), ("/v1.11/x", 400, "client version 1.11 is too old")],
)
async def test_a_version_that_is_not_spoken_is_a_bad_request(path: str, status: int, message: str) -> None:
    answer, _, body = await answered(f"GET {path} HTTP/1.1\nHost: localhost\n\n")

    assert answer == status
    assert message.encode() in body


async def test_doubled_slashes_are_sent_to_the_cleaned_path() -> None:
    status, headers, _ = await answered("GET //v1.41//x HTTP/1.1\nHost: localhost\n\n")

    assert (status, headers["location"]) == (301, "/v1.41/x")


@pytest.mark.parametrize("path", ["/x/", "/v1.41/x/"])
async def test_a_slash_at_the_end_is_no_route(path: str) -> None:
    status, _, body = await answered(f"GET {path} HTTP/1.1\nHost: localhost\n\n")

    assert (status, body) == (404, b'{"message":"page not found"}\n')


@pytest.mark.parametrize(
    "header", ["Host: evil.example", "Host: localhost\nOrigin: http://localhost", "Host: 10.0.0.1:80"]
)
async def test_what_a_web_page_can_send_is_refused_without_tls(header: str) -> None:
    status, _, _ = await answered(f"GET /x HTTP/1.1\n{header}\n\n")

    assert status == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:2375", "[::1]:99", "localhost:1", "LocalHost"])
async def test_loopback_hosts_are_ours(host: str) -> None:
    status, _, _ = await answered(f"GET /x HTTP/1.1\nHost: {host}\n\n")

    assert status == 200


async def test_an_error_of_ours_is_told_and_a_bug_is_told_by_its_number_only() -> None:
    async def missing(call: Call) -> web.StreamResponse:
        raise NotFoundError("image", "nope:latest")

    async def broken(call: Call) -> web.StreamResponse:
        raise KeyError("secret inside")

    (one,) = listen_tcp("127.0.0.1", 0)
    (two,) = listen_tcp("127.0.0.1", 0)
    async with serving(missing, one), serving(broken, two):
        status, _, body = await ask(one, "GET /x HTTP/1.1\nHost: localhost\n\n")
        bug, _, told = await ask(two, "GET /x HTTP/1.1\nHost: localhost\n\n")

    assert status == 404
    assert b"nope:latest" in body
    assert bug == 500
    assert b"bug in Headway, logged as" in told
    assert b"secret" not in told


async def test_an_error_that_quotes_what_is_no_text_is_told_all_the_same() -> None:
    async def typed(call: Call) -> web.StreamResponse:
        return document(await call.document(dict[str, str]))

    (listener,) = listen_tcp("127.0.0.1", 0)
    async with serving(typed, listener, method="POST"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(listener))
        writer.write(b"POST /x HTTP/1.0\r\nHost: localhost\r\nContent-Type: \xff\r\nContent-Length: 2\r\n\r\n{}")
        answer = await reader.read()
        writer.close()

    assert answer.split()[1] == b"400"
    assert "specified (\ufffd)".encode() in answer


async def test_a_client_that_leaves_ends_its_request() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(call: Call) -> web.StreamResponse:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return web.Response()

    (listener,) = listen_tcp("127.0.0.1", 0)
    async with serving(endless, listener), asyncio.timeout(5):
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(listener))
        writer.write(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await begun.wait()
        writer.close()
        await ended.wait()


@pytest.mark.parametrize("request_text", ["GET /x HTTP/1.0\r\n\r\n", "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"])
@pytest.mark.parametrize("delay", [0.0, 0.05])
async def test_a_client_that_has_sent_everything_has_not_left(tmp_path: Path, request_text: str, delay: float) -> None:
    async def slow(call: Call) -> web.StreamResponse:
        await asyncio.sleep(0.1)
        return web.Response(text="late")

    async with serving(slow, listen_unix(tmp_path / "s")), asyncio.timeout(5):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(request_text.encode())
        await asyncio.sleep(delay)
        writer.write_eof()
        answer = await reader.read()
        writer.close()

    assert answer.endswith(b"late")


@pytest.mark.parametrize(("seconds", "delay"), [(0.1, 0.0), (0.1, 0.05), (0.0, 0.0)])
async def test_all_requests_are_answered_that_came_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, delay: float
) -> None:
    monkeypatch.setattr(connections, "LOOK_SECONDS", 60.0)  # the end comes with the last answer

    async def slow(call: Call) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return web.Response(text="late")

    async with serving(slow, listen_unix(tmp_path / "s")), asyncio.timeout(5):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        await asyncio.sleep(delay)
        writer.write_eof()
        answer = await reader.read()
        writer.close()

    assert answer.count(b"late") == 3


async def test_a_client_that_sends_half_a_body_and_no_more_has_left(tmp_path: Path) -> None:
    lost = asyncio.Event()

    async def reading(call: Call) -> web.StreamResponse:
        try:
            return web.Response(body=await call.body(100))
        finally:
            lost.set()

    async with serving(reading, listen_unix(tmp_path / "s"), method="POST"), asyncio.timeout(5):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        await asyncio.sleep(0.05)
        writer.write_eof()
        await lost.wait()
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("has_sent_everything", [True, False])
async def test_a_client_on_a_unix_socket_that_leaves_ends_its_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_sent_everything: bool
) -> None:
    monkeypatch.setattr(connections, "LOOK_SECONDS", 0.02)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(call: Call) -> web.StreamResponse:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return web.Response()

    async with serving(endless, listen_unix(tmp_path / "s")), asyncio.timeout(5):
        _, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()
        if has_sent_everything:
            writer.write_eof()
            await asyncio.sleep(0.1)
            assert not ended.is_set()
        writer.close()
        await ended.wait()


@pytest.mark.parametrize("rest", [b"5\r\nhello\r\nno length\r\n", b"5\r\nhelloXX"])
async def test_a_body_that_is_no_http_is_a_bad_request_and_not_waited_for(
    caplog: pytest.LogCaptureFixture, rest: bytes
) -> None:
    begun = asyncio.Event()

    async def reading(call: Call) -> web.StreamResponse:
        begun.set()
        return web.Response(body=await call.body(100))

    (listener,) = listen_tcp("127.0.0.1", 0)
    async with serving(reading, listener, method="POST"), asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(listener))
        writer.write(b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        await begun.wait()
        writer.write(rest)
        answer = await reader.read()
        writer.close()

    assert answer.split()[1] == b"400"
    assert answer.endswith(b'{"message":"the request\'s body is no HTTP"}\n')  # and no second answer behind it
    assert caplog.records == []


async def test_a_client_that_leaves_between_two_pieces_of_an_answer_is_no_bug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def pieces(call: Call) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(call.request)
        assert call.request.transport is not None
        call.request.transport.close()  # before the loop has told anybody
        await response.write(b"more")
        raise AssertionError("nobody is there to take it")

    (listener,) = listen_tcp("127.0.0.1", 0)
    async with serving(pieces, listener), asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(listener))
        writer.write(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.read()
        writer.close()

    assert [record.getMessage() for record in caplog.records] == []


async def test_headers_that_come_too_slowly_end_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)
    bugs: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: bugs.append(context))
    (listener,) = listen_tcp("127.0.0.1", 0)
    async with serving(ok, listener), asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(listener))
        writer.write(b"GET /x HTTP/1.1\r\nHost: loc")
        assert await reader.read() == b""
        writer.close()
    assert bugs == []


async def test_connections_beyond_the_limit_are_closed_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 1)
    (listener,) = listen_tcp("127.0.0.1", 0)
    async with serving(ok, listener), asyncio.timeout(5):
        first = await asyncio.open_connection("127.0.0.1", port_of(listener))
        status, _, _ = await exchange(*first, "GET /x HTTP/1.1\nHost: localhost\n\n")
        reader, second = await asyncio.open_connection("127.0.0.1", port_of(listener))
        assert await reader.read() == b""
        again, _, _ = await exchange(*first, "GET /x HTTP/1.1\nHost: localhost\n\n")
        for writer in (first[1], second):
            writer.close()

    assert (status, again) == (200, 200)


async def test_headers_that_are_too_long_are_refused_and_others_go_on() -> None:
    (listener,) = listen_tcp("127.0.0.1", 0)
    async with serving(ok, listener), asyncio.timeout(5):
        status, _, body = await ask(listener, f"GET /x HTTP/1.1\nHost: localhost\nX: {'a' * 200_000}\n\n")
        many, _, _ = await ask(listener, f"GET /x?{'names=a&' * 9_000} HTTP/1.1\nHost: localhost\n\n")
        fine, _, _ = await ask(listener, f"GET /x HTTP/1.1\nHost: localhost\nX-Registry-Auth: {'a' * 20_000}\n\n")

    assert (status, many) == (431, 431)
    assert json.loads(body)["message"] == "a line of the request or of its headers is longer than 64 KiB"
    assert fine == 200


@pytest.mark.parametrize(
    "junk",
    ["\x16\x03\x01\n\n", "GET /x HTTP/1.1\nHost: localhost\nX: \0\n\n", "GET /x HTTP/9\n\n", "\n\n\nNONSENSE\n\n"],
)
async def test_what_is_no_request_is_told_so_and_writes_no_traceback(
    junk: str, caplog: pytest.LogCaptureFixture
) -> None:
    (listener,) = listen_tcp("127.0.0.1", 0)
    async with serving(ok, listener), asyncio.timeout(5):
        status, headers, body = await ask(listener, junk)
        fine, _, _ = await ask(listener, "GET /x HTTP/1.1\nHost: localhost\n\n")

    assert (status, headers["content-type"]) == (400, "application/json")
    assert body.startswith(b'{"message":"')
    assert [record for record in caplog.records if record.exc_info] == []
    assert fine == 200


@pytest.mark.parametrize(
    ("asked", "location"),
    [
        ("//x?all=1&filters=%7B%22a%26b%22%7D", "/x?all=1&filters=%7B%22a%26b%22%7D"),
        ("//x%0d%0aSet-Cookie:%20a=b", "/x%0D%0ASet-Cookie:%20a=b"),
        ("//evil.test/..//x", "/x"),
    ],
)
async def test_a_cleaned_path_keeps_its_query_and_begins_no_header(asked: str, location: str) -> None:
    status, headers, _ = await answered(f"GET {asked} HTTP/1.1\nHost: localhost\n\n")

    assert (status, headers["location"].lower()) == (301, location.lower())
    assert "set-cookie" not in headers


@pytest.mark.parametrize("request_line", ["GET /x HTTP/1.1", "GET /nope HTTP/1.1", "GET //x HTTP/1.1", "JUNK"])
async def test_every_answer_says_who_answers_and_not_what_with(request_line: str) -> None:
    _, headers, _ = await answered(f"{request_line}\nHost: localhost\n\n")

    assert headers["server"].startswith("headway/")
    assert "aiohttp" not in headers["server"]


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked() -> None:
    (listener,) = listen_tcp("127.0.0.1", 0)
    async with serving(echo, listener, method="POST"), asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(listener))
        head = b"POST /x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        writer.write(head)
        invited = await reader.readuntil(b"\r\n\r\n")
        status, _, body = await exchange(reader, writer, "12345")
        writer.close()

    assert invited == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (status, body) == (200, b"12345")


async def test_a_client_that_knows_no_invitation_gets_none() -> None:
    head = "POST /x HTTP/1.0\nHost: localhost\nExpect: 100-continue\nContent-Length: 5\n\n"
    status, _, body = await answered(head + "12345", echo, method="POST")

    assert (status, body) == (200, b"12345")


async def test_an_expectation_that_nobody_can_meet_is_refused() -> None:
    status, headers, body = await answered("GET /x HTTP/1.1\nHost: localhost\nExpect: miracles\n\n")

    assert (status, headers["connection"], body) == (417, "close", b"")


async def test_a_body_is_what_was_sent_whatever_a_header_says_of_its_encoding() -> None:
    head = "POST /x HTTP/1.1\nHost: localhost\nContent-Encoding: gzip\nContent-Length: 5\n\n"
    status, _, body = await answered(head + "abcde", echo, method="POST")

    assert (status, body) == (200, b"abcde")


async def test_a_document_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_call, "DOCUMENT_SECONDS", 0.1)

    status, _, body = await answered("POST /x HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nabc", echo, method="POST")

    assert status == 408
    assert b"did not come within 0.1 seconds" in body


async def test_a_server_that_stops_ends_what_has_no_end_at_once_and_cuts_others_when_their_time_is_over() -> None:
    async def endless(call: Call) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(call.request)
        await response.write(b"begun")
        async with call.until_stopped():
            await asyncio.sleep(3600)
        await response.write_eof()
        return response

    async def long(call: Call) -> web.StreamResponse:
        await asyncio.sleep(3600)
        return web.Response()

    loop = asyncio.get_running_loop()
    (listener,) = listen_tcp("127.0.0.1", 0)
    server = EngineServer([Route("GET", "/endless", endless), Route("GET", "/long", long)])
    listening = await loop.create_server(server, sock=listener)
    async with asyncio.timeout(10):
        streams = [await asyncio.open_connection("127.0.0.1", port_of(listener)) for _ in range(2)]
        for (_, writer), path in zip(streams, ("/endless", "/long"), strict=True):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await streams[0][0].readuntil(b"begun")
        listening.close()

        async with asyncio.TaskGroup() as group:
            began = loop.time()
            stopping = group.create_task(server.shutdown(1.0))
            rest = await streams[0][0].read()
            ended = loop.time() - began
            await stopping
            cut = loop.time() - began
        assert await streams[1][0].read() == b""
        for _, writer in streams:
            writer.close()

    assert rest.endswith(b"0\r\n\r\n")
    assert ended < 0.5
    assert 0.9 < cut < 1.8


async def streaming(work: Callable[[Emit], Awaitable[None]], *, ended: asyncio.Event | None = None) -> bytes:
    """Return the whole answer of a stream; with `ended`, leave at its first line and wait for the work to end."""

    async def handler(call: Call) -> web.StreamResponse:
        return await streamed(call, work)

    (listener,) = listen_tcp("127.0.0.1", 0)
    async with serving(handler, listener), asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(listener))
        writer.write(b"GET /x HTTP/1.0\r\nHost: localhost\r\n\r\n")
        if ended is None:
            answer = await reader.read()
            writer.close()
        else:
            answer = await reader.readuntil(b"begun")
            writer.close()
            await ended.wait()
    return answer


async def test_a_stream_that_fails_before_its_first_line_is_an_http_error() -> None:
    async def work(emit: Emit) -> None:
        await asyncio.sleep(0)
        raise NotFoundError("image", "x:latest")

    answer = await streaming(work)

    assert answer.split()[1] == b"404"
    assert b"x:latest" in answer


async def test_a_stream_that_fails_later_ends_with_the_error() -> None:
    async def work(emit: Emit) -> None:
        emit(said("begun"), "")
        await asyncio.sleep(0.3)
        raise NotFoundError("layer", "y")

    answer = await streaming(work)

    assert answer.split()[1] == b"200"
    first, last = answer.partition(b"\r\n\r\n")[2].strip().split(b"\r\n")
    assert first == b'{"status":"begun"}'
    assert last.startswith(b'{"errorDetail":{"message":')


async def test_of_many_bars_a_client_gets_the_latest_and_every_step() -> None:
    async def work(emit: Emit) -> None:
        for number in range(10_000):
            emit(said(f"bar {number}"), "layer")
        emit(said("step"), "")
        await asyncio.sleep(0)

    answer = await streaming(work)

    assert answer.partition(b"\r\n\r\n")[2].split() == b'{"status":"bar 9999"} {"status":"step"}'.split()


async def test_a_client_that_leaves_a_stream_ends_the_work() -> None:
    ended = asyncio.Event()

    async def work(emit: Emit) -> None:
        emit(said("begun"), "")
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    await streaming(work, ended=ended)


async def test_a_client_that_leaves_while_a_line_is_written_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()

    class Leaving:
        def __init__(self, call: Call) -> None:
            self._call = call

        def encode(self) -> bytes:
            assert self._call.request.transport is not None
            self._call.request.transport.close()  # before the loop has told anybody
            return b"more\r\n"

    async def handler(call: Call) -> web.StreamResponse:
        async def work(emit: Callable[[Line, str], None]) -> None:
            emit(Leaving(call), "")
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()

        return await streamed(call, work)

    (listener,) = listen_tcp("127.0.0.1", 0)
    async with serving(handler, listener), asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(listener))
        writer.write(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.read()
        await ended.wait()
        writer.close()

    assert [record.getMessage() for record in caplog.records] == []


def test_a_sockets_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "headway.sock"

    with listen_unix(path):
        mode = stat.S_IMODE(path.stat().st_mode)

    assert mode == 0o600


def test_a_group_may_share_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "headway.sock"

    with listen_unix(path, group="0"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    for group in ("nobody-has-this", "4294967295", "9" * 30):
        with pytest.raises(InvalidSettingError, match=f"no group '{group}'"):
            listen_unix(path, group=group)


def test_a_dead_socket_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "headway.sock"

    listen_unix(path).close()
    with listen_unix(path), pytest.raises(ConflictError, match="another daemon listens"):
        listen_unix(path)


def test_a_file_in_a_sockets_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "headway.sock"
    path.write_text("precious")

    with pytest.raises(ConflictError, match="is no socket"):
        listen_unix(path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:///run/headway.sock", Address("unix", path="/run/headway.sock")),
        ("tcp://127.0.0.1:2375", Address("tcp", host="127.0.0.1", port=2375)),
        ("tcp://[::1]:2376", Address("tcp", host="::1", port=2376)),
        ("fd://", Address("fd")),
    ],
)
def test_an_address_is_a_socket_a_port_or_passed_on(text: str, address: Address) -> None:
    assert Address.parse(text) == address


def test_an_address_is_written_as_it_is_read() -> None:
    texts = ["unix:///run/headway.sock", "tcp://127.0.0.1:2375", "tcp://[::1]:2376", "fd://"]

    assert [str(Address.parse(text)) for text in texts] == texts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fd://7",
        "unix://relative",
        "tcp://host",
        "tcp://h:99999",
        "tcp://h:1/path",
        "http://h:1",
        "tcp://u@h:1",
        "/run/x",
    ],
)
def test_other_addresses_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidSettingError, match="invalid host"):
        Address.parse(text)


def test_without_systemd_there_are_no_passed_sockets() -> None:
    with pytest.raises(InvalidSettingError, match="LISTEN_FDS"):
        passed_sockets({"LISTEN_FDS": "1", "LISTEN_PID": "1"}, pid=2)


def test_a_port_that_is_taken_is_a_conflict() -> None:
    (listener,) = listen_tcp("127.0.0.1", 0)
    with listener, pytest.raises(ConflictError, match="in use"):
        listen_tcp("127.0.0.1", port_of(listener))


def found(*addresses: str) -> Callable[..., list[tuple[object, ...]]]:
    """Return a `getaddrinfo` that finds these, whatever it is asked."""

    def find(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in each], socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    return find


def test_a_name_with_an_address_that_this_machine_has_not_is_listened_on_at_its_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", found("2001:db8::1", "127.0.0.1"))
    listeners = listen_tcp("localhost", 0)
    monkeypatch.setattr(socket, "getaddrinfo", found("2001:db8::1"))

    assert [listener.getsockname()[0] for listener in listeners] == ["127.0.0.1"]
    with pytest.raises(InvalidSettingError, match="cannot listen"):
        listen_tcp("localhost", 0)
    for listener in listeners:
        listener.close()


def test_an_address_that_is_found_twice_is_listened_on_once(monkeypatch: pytest.MonkeyPatch) -> None:
    (free,) = listen_tcp("127.0.0.1", 0)
    port = port_of(free)
    free.close()
    monkeypatch.setattr(socket, "getaddrinfo", found("127.0.0.1", "127.0.0.1"))

    (listener,) = listen_tcp("localhost", port)

    listener.close()
