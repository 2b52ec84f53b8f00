"""Registries that mean harm: what they send is read as far as it can mean something, and named."""

from __future__ import annotations

import json
import socket
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

import pytest

from headway.distribution.challenge import Access
from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import Endpoint
from headway.distribution.recent import MOST
from headway.errors import (
    Fault,
    HeadwayError,
    InvalidSettingError,
    MisbehavedError,
    NotFoundError,
    RefusedError,
    UnreachableError,
)
from headway.registry import exchange, response, tls
from headway.registry.auth import Authorizer
from headway.registry.names import Names
from headway.registry.probe import RegistryProbe
from headway.registry.search import SearchClient
from headway.registry.transport import Transport
from headway.registry.web_files import WebClient
from tests.faults.auth import Bearer
from tests.faults.client import IMAGE, PATH, SECRET, client_of, knowing, world
from tests.faults.sockets import listen
from tests.faults.story import CutAfter, Status, TrickleBody
from tests.faults.story import Fault as On

DEEP = b"[" * 60_000
MiB = 1 << 20


@contextmanager
def endless(
    *,
    most: int,
    begin: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
    piece: bytes = bytes(64 << 10),
    pause: float = 0.0,
) -> Iterator[tuple[str, list[int]]]:
    """Give ``host:port`` of a server whose answer never ends, and how much it has sent, `most` at the most."""
    sent = [0]

    def serve(sock: socket.socket) -> None:
        connection, _ = sock.accept()
        with connection:
            connection.recv(4096)
            try:
                connection.sendall(begin)
                while sent[0] < most:
                    time.sleep(pause)
                    connection.sendall(piece)
                    sent[0] += len(piece)
            except OSError:
                return

    with listen() as sock:
        thread = threading.Thread(target=serve, args=(sock,))
        thread.start()
        yield f"127.0.0.1:{sock.getsockname()[1]}", sent
        thread.join()


@contextmanager
def in_pieces(pieces: Sequence[bytes], *, pause: float) -> Iterator[str]:
    """Give ``host:port`` of a server that answers one request in pieces, with a pause in front of each."""

    def serve(sock: socket.socket) -> None:
        connection, _ = sock.accept()
        with connection:
            connection.recv(4096)
            for piece in pieces:
                time.sleep(pause)
                connection.sendall(piece)

    with listen() as sock:
        thread = threading.Thread(target=serve, args=(sock,))
        thread.start()
        yield f"127.0.0.1:{sock.getsockname()[1]}"
        thread.join()


# --- answers that are nested for ever, or go on for ever -----------------------------------------------------------


def test_an_error_page_that_is_nested_for_ever_does_not_hide_the_status() -> None:
    with world(On(Status(404, body=DEEP))) as (_, client), pytest.raises(NotFoundError):
        client.manifest()


def test_an_error_page_that_trickles_is_not_waited_for() -> None:
    script = (On(Status(404, body=b"x" * 60_000)), On(TrickleBody(1_000)))
    with world(*script) as (_, client):
        began = time.monotonic()
        with pytest.raises(NotFoundError):
            client.manifest()

    assert time.monotonic() - began < 10


def test_a_page_that_trickles_with_a_redirect_is_not_waited_for() -> None:
    moved = Status(307, {"Location": f"/v2/{PATH}/manifests/latest"}, body=b"x" * 3000)
    with world(On(moved, nth=1), On(TrickleBody(100), nth=1)) as (_, client):
        began = time.monotonic()
        assert client.manifest()

    assert time.monotonic() - began < 10


def test_a_token_that_is_nested_for_ever_is_named() -> None:
    with (
        world(On(Status(200, body=DEEP), kind="token"), auth=Bearer()) as (_, client),
        pytest.raises(MisbehavedError, match="not a JSON object"),
    ):
        client.manifest()


@pytest.mark.parametrize("digits", [30, 400])
def test_a_token_that_never_expires_is_one(digits: int) -> None:
    answer = b'{"token": "a", "expires_in": 1%s}' % (b"0" * digits)
    with world(On(Status(200, body=answer), kind="token"), auth=Bearer()) as (registry, client):
        with pytest.raises(HeadwayError):
            client.manifest()  # the token is none of its own

        assert registry.log[-1].status == 401


@pytest.mark.parametrize("body", [DEEP, b'{"tags": %s' % DEEP, b'{"other": %s' % DEEP])
def test_a_list_of_tags_that_is_nested_for_ever_is_named(body: bytes) -> None:
    with (
        world(On(Status(200, body=body))) as (_, client),
        pytest.raises(MisbehavedError, match="no list of tags"),
    ):
        client.registry.tags(client.endpoint, PATH)


@pytest.mark.parametrize("tag", ["", "../../etc", "a b", "x" * 129, "a@sha256:00"])
def test_a_tag_that_cannot_be_one_is_the_registrys_fault(tag: str) -> None:
    body = json.dumps({"tags": ["good", tag]}).encode()
    with world(On(Status(200, body=body))) as (_, client), pytest.raises(MisbehavedError, match="lists a tag"):
        client.registry.tags(client.endpoint, PATH)


def test_a_search_that_finds_what_is_nested_for_ever_is_named() -> None:
    with (
        world(On(Status(200, body=b'{"results": %s' % DEEP))) as (_, client),
        pytest.raises(MisbehavedError, match="something else"),
    ):
        SearchClient(client.sender).search(client.endpoint, "alpine", 5)


def test_a_list_of_tags_ends_where_nobody_could_have_so_many() -> None:
    pages = [json.dumps({"tags": [f"{page}-{number:0120d}" for number in range(30_000)]}) for page in range(10)]
    script = [
        On(Status(200, {"Link": f'</v2/{PATH}/tags/list?last={page}>; rel="next"'}, tags.encode()), nth=page + 1)
        for page, tags in enumerate(pages)
    ]
    with world(*script) as (registry, client), pytest.raises(MisbehavedError, match="a list of tags that never ends"):
        client.registry.tags(client.endpoint, PATH)

    assert len(registry.log) < len(pages)


def test_doctor_reads_no_answer_that_never_ends() -> None:
    with endless(most=64 * MiB) as (host, sent):
        reached = RegistryProbe(Transport()).reach(Endpoint(host, secure=False, scheme="http"))

    assert reached.host == host
    assert sent[0] < 16 * MiB  # what the kernel took on both sides


@pytest.mark.parametrize(
    ("begin", "piece", "said"),
    [
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 1000, "interim answers that never end"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, "interim answers that never end"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Large: %s\r\n" % (b"x" * 60_000), "headers that never end"),
    ],
)
def test_a_head_that_never_ends_is_left(begin: bytes, piece: bytes, said: str) -> None:
    with (
        endless(most=64 * MiB, begin=begin, piece=piece) as (host, sent),
        client_of(host) as client,
        pytest.raises(MisbehavedError, match=said),
    ):
        client.manifest()

    assert sent[0] < 16 * MiB  # what the kernel took on both sides


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 "])
def test_a_head_that_trickles_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, begin: bytes) -> None:
    monkeypatch.setattr(response, "HEAD_SECONDS", 1.0)
    with endless(most=200, begin=begin, piece=b"H", pause=0.1) as (host, sent), client_of(host) as client:
        with pytest.raises(UnreachableError, match="headers trickle") as caught:
            client.manifest()
        # Large packets are not what is missing.
        assert client.transport.standing.black_hole.segment_bytes(host) == 0

    assert caught.value.fault is Fault.TIMEOUT
    assert sent[0] < 100


def test_a_document_that_trickles_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "DOCUMENT_SECONDS", 1.0)
    begin = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    with (
        endless(most=200, begin=begin, piece=b"{", pause=0.1) as (host, sent),
        client_of(host) as client,
        pytest.raises(UnreachableError, match=r"only \d+ bytes in 1 seconds") as caught,
    ):
        client.manifest()

    assert caught.value.retryable
    assert sent[0] < 100


def test_a_document_that_comes_slowly_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "DOCUMENT_SECONDS", 0.2)
    manifest = IMAGE.blobs[IMAGE.manifest_digest]
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(manifest)
    pieces = [head, *(manifest[at : at + 100] for at in range(0, len(manifest), 100))]
    with in_pieces(pieces, pause=0.1) as host, client_of(host) as client:
        assert client.manifest() == manifest


def test_a_tls_handshake_that_trickles_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 1.0)
    begin = b"\x16\x03\x03\x40\x00"  # the head of a record of 16 KiB
    with (
        endless(most=200, begin=begin, piece=b"\x02", pause=0.1) as (host, sent),
        client_of(host, scheme="https", secure=True) as client,
        pytest.raises(UnreachableError) as caught,
    ):
        client.manifest()

    assert caught.value.fault is Fault.TLS
    assert sent[0] < 100


def test_a_head_that_is_slow_to_begin_has_its_time_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "HEAD_SECONDS", 0.5)
    manifest = IMAGE.blobs[IMAGE.manifest_digest]
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(manifest), manifest)
    pieces = [b"HTTP/1.1 102 Processing\r\n\r\n"] * 3 + [answer]
    with in_pieces(pieces, pause=0.4) as host, client_of(host) as client:
        assert client.manifest() == manifest


@pytest.mark.parametrize("line", [b"-5\r\n", b"1_0\r\n", b"0x10\r\n", b"\r\n", b"F" * 20 + b"\r\n", b"5" * (64 << 10)])
def test_a_chunk_whose_size_is_none_is_named(line: bytes) -> None:
    begin = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n"
    with (
        endless(most=1, begin=begin, piece=line) as (host, _),
        client_of(host) as client,
        pytest.raises(MisbehavedError, match="a chunk without a size"),
    ):
        client.manifest()


def test_the_size_of_a_chunk_that_trickles_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "HEAD_SECONDS", 1.0)
    begin = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n"
    with (
        endless(most=200, begin=begin, piece=b"0", pause=0.1) as (host, sent),
        client_of(host) as client,
        pytest.raises(MisbehavedError, match="a chunk that trickles"),
    ):
        client.manifest()

    assert sent[0] < 100


def test_what_follows_the_last_chunk_is_not_read_for_ever() -> None:
    manifest = IMAGE.blobs[IMAGE.manifest_digest]
    begin = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n" % (len(manifest), manifest)
    piece = b"X-Trailer: more\r\n" * 4000
    with endless(most=64 * MiB, begin=begin, piece=piece) as (host, sent), client_of(host) as client:
        assert client.manifest() == manifest

    assert sent[0] < 16 * MiB


# --- where they send us -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/to ken", "/tökén"])
def test_a_token_server_is_asked_by_the_path_that_the_registry_names(path: str) -> None:
    with world(auth=Bearer()) as (registry, client):
        challenge = f'Bearer realm="{registry.url}{path}"'.encode().decode("latin-1")
        registry.faults = [On(Status(401, {"WWW-Authenticate": challenge}), kind="manifest")]

        with pytest.raises(RefusedError):
            client.manifest()

    assert registry.log[-1].path == path


def test_a_redirect_is_followed_to_the_bytes_that_it_names() -> None:
    location = "/elsewhere/té?a=ü b".encode().decode("latin-1")  # as they stand in the header, not quoted
    with world(On(Status(307, {"Location": location}), nth=1)) as (registry, client), pytest.raises(NotFoundError):
        client.manifest()

    assert registry.log[-1].path == "/elsewhere/té"


def test_a_web_server_that_refuses_and_hangs_up_has_refused() -> None:
    script = (On(Status(404, body=b"x" * 1000)), On(CutAfter(10)))
    with world(*script) as (_, client):
        endpoint = Endpoint(client.endpoint.host, secure=False, scheme="http", blob_path="/file.tar")

        with pytest.raises(HeadwayError, match="with status 404"):
            WebClient(client.sender).open(endpoint, f"http://{endpoint.host}/file.tar")


# --- what is ours -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [f"{SECRET}\n", f"{SECRET}\r\nX-More: 1", f"{SECRET}é", f"{SECRET}€"])
def test_a_token_of_the_users_that_no_header_can_hold_is_not_sent_and_not_shown(token: str) -> None:
    with world() as (registry, client):
        client.endpoint = Endpoint(
            client.endpoint.host, secure=False, scheme="http", login=Credentials(registry_token=token)
        )
        with pytest.raises(InvalidSettingError) as caught:
            client.manifest()

    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert registry.log == []


def test_tokens_that_have_expired_are_forgotten_with_those_who_had_them() -> None:
    now = [0.0]
    with world(auth=Bearer(user="me", password=SECRET)) as (registry, client), ExitStack() as asked:
        authorizer = Authorizer(client.transport, knowing("me", SECRET), clock=lambda: now[0])
        challenge = f'Bearer realm="{registry.url}/token",service="registry.test"'
        authorizer.challenged(client.endpoint, Access("a"), [challenge], None)
        for number in range(50):
            authorizer.header(
                client.endpoint, Access(f"test/{number}"), lambda exchange: asked.enter_context(closing(exchange))
            )
            now[0] += 100.0

    assert len(authorizer._tokens) + len(authorizer._turns) <= 8


def test_tokens_that_are_refused_leave_nothing_behind_for_ever() -> None:
    endpoint = Endpoint("registry.test")
    authorizer = Authorizer(Transport(), knowing("me", SECRET))
    for number in range(MOST + 10):
        authorizer.challenged(endpoint, Access(""), ['Bearer realm="ftp://nowhere"'], None)
        with pytest.raises(MisbehavedError):
            authorizer.header(endpoint, Access(f"test/{number}"), lambda exchange: exchange)

    assert len(authorizer._turns) <= MOST


def test_names_that_nobody_knows_leave_nothing_behind_for_ever() -> None:
    def nobody_knows(*_: object, **__: object) -> list[list[object]]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    names = Names(resolve=nobody_knows)
    for number in range(MOST + 10):
        with pytest.raises(socket.gaierror):
            names.lookup(f"host-{number}.test", seconds=5)

    assert len(names._lookups) <= MOST


def test_a_name_for_which_the_machine_gave_no_thread_is_asked_for_again() -> None:
    names = Names(resolve=lambda *_, **__: [(0, 0, 0, "", ("192.0.2.1", 0))])
    size = threading.stack_size(1 << 46)  # more than there are addresses
    try:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            names.lookup("registry.example", seconds=5)
    finally:
        threading.stack_size(size)

    assert names.lookup("registry.example", seconds=5) == ["192.0.2.1"]
