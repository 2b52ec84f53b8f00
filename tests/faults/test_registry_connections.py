"""Connections that break, fall silent, are aborted or never come about; and TLS."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

import pytest

from headway.distribution.endpoints import Endpoint, InsecureRegistries, mirror_endpoint
from headway.distribution.proxies import ProxyRules
from headway.errors import (
    Fault,
    HeadwayError,
    MisbehavedError,
    ProxyRefusedError,
    Side,
    UnreachableError,
    WebPageError,
)
from headway.registry.address import Address
from headway.registry.blob import RegistryBlob
from headway.registry.client import RegistryClient
from headway.registry.dialing import Race
from headway.registry.request import Sender
from headway.registry.tls import tls_context
from headway.registry.transport import Transport
from tests.faults.auth import Auth, Bearer
from tests.faults.client import (
    BLOB,
    IMAGE,
    SIZE,
    anonymous,
    client_of,
    trust,
    world,
)
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.sockets import listen
from tests.faults.story import (
    CutAfter,
    Effect,
    RateLimit,
    RawResponse,
    RedirectTo,
    ResetAfter,
    SlowResponse,
    StallAfter,
    Status,
)
from tests.faults.story import Fault as On
from tests.faults.tls import Certificate

# --- silence, cuts and ends ---------------------------------------------------------------------------------------


def test_a_reset_after_64_kib_gives_the_64_kib_first() -> None:
    with world(ResetAfter(65_536)) as (_, client):
        _, data, error = client.try_fetch()

        assert data == BLOB[:65_536]
        assert isinstance(error, UnreachableError)
        assert error.fault is Fault.CUT


def test_a_cut_gives_what_arrived_first() -> None:
    with world(CutAfter(100_001)) as (_, client):
        _, data, error = client.try_fetch()

        assert data == BLOB[:100_001]
        assert isinstance(error, UnreachableError)
        assert (error.fault, error.retryable) == (Fault.CUT, True)


@pytest.mark.parametrize(
    "head",
    [
        b'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Basic realm="re',
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n",
        b"HTTP/1.1 404 Not Fo",
        b"HTTP/1.1 4",
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/a-signed-u",
        b"HTTP/1.1 200 OK\r\nContent-Length: 12",
    ],
)
def test_an_answer_that_is_cut_in_its_headers_is_a_cut_and_says_nothing_else(head: bytes) -> None:
    with world(On(RawResponse(head), nth=1)) as (registry, client):
        with pytest.raises(UnreachableError) as caught:
            client.manifest()

        assert (caught.value.fault, caught.value.retryable) == (Fault.CUT, True)
        assert client.manifest()
        assert len(registry.log) == 2


@pytest.mark.parametrize(
    "field", [b"X-Owner : me", b"X-Owner: me\rX-Team", b"X-Owner: \xc3\x85ngstr\xc3\xb6m", b" folded", b"\r"]
)
def test_a_header_that_is_not_quite_one_hides_none_behind_it(field: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\n\r\n%s" % (field, SIZE, BLOB)
    with world(RawResponse(answer)) as (_, client):
        assert client.fetch() == (0, BLOB)


@pytest.mark.parametrize("field", [b"no colon", b"\xc3\x85: 1", b"X Owner: me", b"X-\x01: me"])
def test_a_header_that_is_none_is_named(field: bytes) -> None:
    with world(RawResponse(b"HTTP/1.1 200 OK\r\n%s\r\nContent-Length: 1\r\n\r\n1" % field)) as (_, client):
        _, _, error = client.try_fetch()

    assert isinstance(error, MisbehavedError)
    assert "a header that is none" in str(error)


@pytest.mark.parametrize("encoding", [b"gzip", b"gzip, chunked", b"chunked, chunked"])
def test_a_body_in_an_encoding_that_nobody_asked_for_is_named_before_a_byte_of_it(encoding: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n" % encoding
    with world(RawResponse(head + BLOB)) as (_, client):
        _, data, error = client.try_fetch()

    assert (data, type(error)) == (b"", MisbehavedError)


@pytest.mark.parametrize("encoding", [b"chunked ", b"\tChunked\t", b"chunked\t \r"])
def test_chunks_are_chunks_whatever_white_space_is_around_the_word(encoding: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding:%s\r\n\r\n" % encoding
    with world(RawResponse(head + b"%x\r\n%s\r\n0\r\n\r\n" % (SIZE, BLOB))) as (_, client):
        assert client.fetch() == (0, BLOB)


def test_interim_answers_are_passed_over() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
    interim += b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (SIZE, BLOB)
    with world(RawResponse(interim + answer)) as (_, client):
        assert client.fetch() == (0, BLOB)


@pytest.mark.parametrize(("effect", "fault"), [(StallAfter(1000), Fault.STALLED), (SlowResponse(30), Fault.TIMEOUT)])
def test_silence_ends_within_the_limit(effect: Effect, fault: Fault) -> None:
    with world(effect) as (_, client):
        began = time.monotonic()

        _, data, error = client.try_fetch(limit=0.2)

        assert time.monotonic() - began < 2
        assert data == (BLOB[:1000] if fault is Fault.STALLED else b"")
        assert isinstance(error, UnreachableError)
        assert error.fault is fault


def test_the_limit_may_change_between_reads() -> None:
    with world(StallAfter(1000)) as (_, client):
        stream = client.blob(limit=30)
        stream.open()
        stream.read()
        stream.stall_limit_seconds = 0.1

        with pytest.raises(UnreachableError):
            stream.read()
        stream.close()


def test_a_connection_that_the_server_closed_while_idle_is_replaced_without_an_error() -> None:
    with world() as (registry, client):
        client.fetch()
        registry.drop_connections()
        found = client.fetch(1000)

        assert found == (1000, BLOB[1000:])
        assert registry.connections == 2


def test_what_a_server_says_to_an_idle_connection_is_no_answer_to_the_next_request() -> None:
    manifest = IMAGE.blobs[IMAGE.manifest_digest]
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(manifest), manifest)
    farewell = b"HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    waited = threading.Event()

    def serve(sock: socket.socket) -> None:
        for said_when_idle in (farewell, b""):
            connection, _ = sock.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)
                time.sleep(0.1)
                connection.sendall(said_when_idle)
                waited.set()

    with listen() as sock, client_of(f"127.0.0.1:{sock.getsockname()[1]}") as client:
        thread = threading.Thread(target=serve, args=(sock,))
        thread.start()
        client.manifest()
        waited.wait(5)
        try:
            assert client.manifest() == manifest
        finally:
            sock.shutdown(socket.SHUT_RDWR)  # nobody else comes, if nobody came
            thread.join()


def test_a_body_that_was_not_read_to_its_end_ends_its_connection() -> None:
    with world() as (registry, client):
        stream = client.blob()
        stream.open()
        stream.read()
        stream.close()

        assert client.fetch() == (0, BLOB)
        assert registry.connections == 2


def abort_soon(stream: RegistryBlob, act: Callable[[], object]) -> tuple[float, BaseException | None]:
    """Do something that blocks, and abort it; return how long the abort took, and what it raised."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except HeadwayError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.1)
    began = time.monotonic()
    stream.abort()
    thread.join()
    stream.close()
    return time.monotonic() - began, errors[0] if errors else None


@pytest.mark.parametrize(
    ("script", "auth"),
    [
        ([StallAfter(0)], None),
        ([SlowResponse(30)], None),
        ([On(SlowResponse(30), kind="token")], Bearer()),
    ],
)
def test_an_abort_ends_a_wait_for_headers_a_body_or_a_token(script: list[Effect | On], auth: Auth | None) -> None:
    with world(*script, auth=auth) as (_, client):
        stream = client.blob(limit=30)

        seconds, error = abort_soon(stream, lambda: (stream.open(), stream.read()))

        assert seconds < 1
        assert isinstance(error, UnreachableError)


@contextmanager
def black_hole() -> Iterator[str]:
    """Give an address where no connection ever comes about."""
    with listen(backlog=0) as listener, ExitStack() as stack:
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)  # noqa: FBT003
            filler.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_abort_ends_a_connect(scheme: str) -> None:
    with black_hole() as host, client_of(host, scheme=scheme) as client:
        stream = client.blob()

        seconds, error = abort_soon(stream, stream.open)

        assert seconds < 1
        assert isinstance(error, UnreachableError)


def test_an_abort_ends_a_tls_handshake() -> None:
    with listen() as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        with client_of(host, secure=True, scheme="https") as client:
            stream = client.blob()

            seconds, error = abort_soon(stream, stream.open)

            assert seconds < 1
            assert isinstance(error, UnreachableError)


def test_an_abort_before_the_open_ends_it_at_once() -> None:
    with world() as (registry, client):
        stream = client.blob()
        stream.abort()

        with pytest.raises(UnreachableError):
            stream.open()
        stream.close()
        assert registry.log == []


def test_one_abort_leaves_the_others_alone() -> None:
    with world(On(SlowResponse(0.3), kind="token"), auth=Bearer()) as (_, client):
        found: list[tuple[int, bytes]] = []
        stream = client.blob()
        other = threading.Thread(target=lambda: found.append(client.fetch()))

        def both() -> None:
            other.start()
            stream.open()

        abort_soon(stream, both)
        other.join()

        assert found == [(0, BLOB)]


# --- whom one cannot reach ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_port_where_nobody_listens_is_refused(scheme: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with client_of(f"127.0.0.1:{unused.getsockname()[1]}", scheme=scheme) as client:
            _, _, error = client.try_fetch()

            assert isinstance(error, UnreachableError)
            assert error.fault is Fault.REFUSED


@pytest.mark.parametrize("host", ["host.invalid", f"{'a' * 64}.invalid"])
def test_a_name_that_does_not_exist_is_named(host: str) -> None:
    with client_of(host) as client:
        _, _, error = client.try_fetch()

        assert isinstance(error, UnreachableError)
        assert error.fault in (Fault.UNKNOWN_NAME, Fault.NO_DNS)


@pytest.mark.parametrize(
    ("authority", "address"),
    [
        ("example.com", Address("https", "example.com", 443)),
        ("example.com:", Address("https", "example.com", 443)),
        ("example.com:5000", Address("https", "example.com", 5000)),
        ("[::1]:5000", Address("https", "::1", 5000)),
        ("[::1]", Address("https", "::1", 443)),
    ],
)
def test_an_authority_is_an_address(authority: str, address: Address) -> None:
    assert Address.parse("https", authority) == address
    assert Address.parse("https", str(address)) == address


@pytest.mark.parametrize(
    ("address", "led_by"),
    [
        (Address("https", "example.com", 443), ""),
        (Address("https", "example.com", 443, registry="example.com"), ""),
        (Address("http", "example.com", 5000, registry="example.com:80"), ""),
        (Address("https", "cdn.example.com", 443, registry="example.com:5000"), "example.com:5000"),
    ],
)
def test_an_address_at_another_host_is_one_that_the_registry_has_led_to(address: Address, led_by: str) -> None:
    assert address.led_by == led_by


@pytest.mark.parametrize("authority", ["host:x", "host:²", "host:65536", f"host:{'9' * 5000}"])
def test_a_port_that_cannot_be_one_is_refused(authority: str) -> None:
    with pytest.raises(MisbehavedError):
        Address.parse("http", authority)


# --- TLS ----------------------------------------------------------------------------------------------------------


def test_a_certificate_that_nobody_trusts_is_named_and_not_tried_again(certificate: Certificate) -> None:
    with Registry([IMAGE], certificate=certificate) as registry:
        with client_of(registry.host, secure=True, scheme="https") as client:
            _, _, error = client.try_fetch()

        assert isinstance(error, UnreachableError)
        assert (error.fault, error.retryable) == (Fault.CERTIFICATE, False)
        assert registry.log == []


def test_a_certificate_that_is_trusted_is_accepted(certificate: Certificate) -> None:
    with (
        Registry([IMAGE], certificate=certificate) as registry,
        client_of(registry.host, secure=True, scheme="https") as client,
    ):
        trust(client, certificate)

        assert client.fetch(1000) == (1000, BLOB[1000:])
        assert client.fetch() == (0, BLOB)
        assert registry.connections == 1


def test_an_insecure_registrys_certificate_is_not_looked_at(certificate: Certificate) -> None:
    with Registry([IMAGE], certificate=certificate) as registry, client_of(registry.host, scheme="https") as client:
        assert client.fetch() == (0, BLOB)


@pytest.mark.parametrize("effect", [ResetAfter(100_000), CutAfter(100_000)])
def test_over_tls_a_cut_gives_what_arrived_first(certificate: Certificate, effect: Effect) -> None:
    with Registry([IMAGE], faults=[On(effect, kind="blob")], certificate=certificate) as registry:
        with client_of(registry.host, scheme="https") as client:
            _, data, error = client.try_fetch()

        assert data == BLOB[:100_000]
        assert isinstance(error, UnreachableError)
        assert error.fault in (Fault.CUT, Fault.TLS)


def test_over_tls_silence_ends_within_the_limit(certificate: Certificate) -> None:
    with Registry([IMAGE], faults=[On(StallAfter(1000), kind="blob")], certificate=certificate) as registry:
        with client_of(registry.host, scheme="https") as client:
            _, data, error = client.try_fetch(limit=0.2)

        assert data == BLOB[:1000]
        assert isinstance(error, UnreachableError)
        assert error.fault is Fault.STALLED


def test_over_tls_an_idle_connection_that_was_closed_is_replaced(certificate: Certificate) -> None:
    with Registry([IMAGE], certificate=certificate) as registry, client_of(registry.host, scheme="https") as client:
        client.fetch()
        registry.drop_connections()

        assert client.fetch() == (0, BLOB)


def test_a_slow_link_is_not_silent_while_a_tls_record_arrives(certificate: Certificate) -> None:
    with (
        Registry([IMAGE], certificate=certificate) as registry,
        Link(target=registry.address, faults=[RateLimit(40_000)]) as link,
        client_of(f"127.0.0.1:{link.port}", scheme="https") as client,
    ):
        stream = client.blob(end=20_000, limit=5)
        stream.open()
        stream.stall_limit_seconds = 0.15  # a record of 16 KiB takes 0.4 s

        data = b""
        while piece := stream.read():
            data += piece
        stream.close()

    assert data == BLOB[:20_000]


# --- insecure registries: HTTPS first, then HTTP ------------------------------------------------------------------


def test_a_plain_registry_is_found_behind_https_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Registry([IMAGE]) as registry, client_of(registry.host, scheme="https") as client:
        began = time.monotonic()
        client.manifest()
        first = time.monotonic() - began
        client.fetch()

        assert first < 1
        assert registry.connections == 2  # the TLS hello, and one for everything else
        assert [line.kind for line in registry.log] == ["manifest", "blob"]


def test_a_plain_registry_that_one_request_allows_is_asked_by_tls_for_every_other() -> None:
    with Registry([IMAGE]) as registry, client_of(registry.host, scheme="https") as client:
        client.manifest()
        client.endpoint = Endpoint(registry.host)
        with pytest.raises((UnreachableError, MisbehavedError)):
            client.manifest()
        client.endpoint = Endpoint(registry.host, secure=False)

        assert client.manifest()
        assert [line.kind for line in registry.log] == ["manifest", "manifest"]


def test_a_plain_mirror_takes_no_tls_from_the_registry_at_its_host() -> None:
    with Registry([IMAGE]) as registry, client_of(registry.host) as client:
        client.endpoint = mirror_endpoint(f"http://{registry.host}", InsecureRegistries())
        client.manifest()
        client.endpoint = Endpoint(registry.host)

        with pytest.raises((UnreachableError, MisbehavedError)):
            client.manifest()


@pytest.mark.parametrize("rejection", [OSError(errno.EHOSTUNREACH, "No route to host"), TimeoutError()], ids=repr)
def test_a_firewall_before_the_port_of_tls_hides_no_plain_registry(
    monkeypatch: pytest.MonkeyPatch, rejection: OSError
) -> None:
    waits: list[float] = []
    with Registry([IMAGE]) as registry:

        class Firewalled(Race):
            def __init__(self, addresses: Sequence[str], port: int, *, seconds: float, segment_bytes: int = 0) -> None:
                self.rejects = port == 443
                waits.append(seconds)
                port = int(registry.host.rpartition(":")[2])
                super().__init__(addresses, port, seconds=seconds, segment_bytes=segment_bytes)

            def run(self) -> tuple[socket.socket, str]:
                if self.rejects:
                    raise rejection
                return super().run()

        monkeypatch.setattr("headway.registry.connection.Race", Firewalled)
        with client_of("127.0.0.1", scheme="https", hello_seconds=3) as client:
            assert client.manifest()

    assert waits[0] == 3 < waits[1]  # first contact leaves ten seconds for both


def test_a_port_that_drops_everything_is_not_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[int] = []

    class Dropping(Race):
        def __init__(self, addresses: Sequence[str], port: int, *, seconds: float, segment_bytes: int = 0) -> None:
            ports.append(port)
            super().__init__(addresses, port, seconds=seconds, segment_bytes=segment_bytes)

        def run(self) -> tuple[socket.socket, str]:
            raise TimeoutError

    monkeypatch.setattr("headway.registry.connection.Race", Dropping)
    with client_of("127.0.0.1:5000", scheme="https") as client, pytest.raises(UnreachableError):
        client.manifest()

    assert ports == [5000]


WEB = {"Content-Type": "text/html"}


@pytest.mark.parametrize(
    ("beside", "is_found"),
    [(Status(404, WEB, b"<html>nothing here</html>"), False), (Status(404), False), (RedirectTo(""), True)],
    ids=["page", "404", "redirect"],
)
def test_a_web_server_beside_a_registry_takes_it_no_tls(
    monkeypatch: pytest.MonkeyPatch, certificate: Certificate, beside: Effect, *, is_found: bool
) -> None:
    cuts = [1]
    with Registry([IMAGE], certificate=certificate) as registry, Registry([IMAGE]) as web:
        web.faults = [On(RedirectTo(registry.url) if is_found else beside)]

        class Once(Race):
            def __init__(self, addresses: Sequence[str], port: int, *, seconds: float, segment_bytes: int = 0) -> None:
                self.fails = port == 443 and bool(cuts) and bool(cuts.pop())
                host = registry.host if port == 443 else web.host if port == 80 else f":{port}"
                port = int(host.rpartition(":")[2])
                super().__init__(addresses, port, seconds=seconds, segment_bytes=segment_bytes)

            def run(self) -> tuple[socket.socket, str]:
                if self.fails:
                    raise TimeoutError
                return super().run()

        monkeypatch.setattr("headway.registry.connection.Race", Once)
        with client_of("127.0.0.1", scheme="https") as client:
            if is_found:
                assert client.manifest()
            else:
                with pytest.raises(HeadwayError) as caught:
                    client.manifest()
                assert caught.value.retryable == (beside != Status(404))
            asked = len(web.log)

            assert client.manifest()
            assert len(web.log) == asked  # all of this by TLS


def test_a_web_server_at_the_port_that_was_named_is_told_from_a_registry_without_tls() -> None:
    page = On(Status(404, WEB, b"<html>nothing here</html>"))
    with Registry([IMAGE]) as web, client_of(web.host, scheme="https") as client:
        web.faults = [page]

        with pytest.raises(WebPageError, match="a web page answers instead of a registry"):
            client.manifest()


class Mute:
    """A plain HTTP server that waits for more whenever it does not understand, as some small ones do."""

    def __init__(self, answer: bytes, *, seconds: float = 0.0) -> None:
        self._answer = answer
        self._seconds = seconds  # for which it thinks
        self._listener = listen()
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.hello_bytes = 0
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Mute:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                data = sock.recv(65_536)
                if data.startswith(b"\x16"):
                    self.hello_bytes += len(data)
                    while sock.recv(65_536):
                        pass
                else:
                    time.sleep(self._seconds)
                    with suppress(OSError):
                        sock.sendall(self._answer)


def test_a_plain_registry_that_is_silent_on_a_tls_hello_costs_a_moment() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (SIZE, BLOB)
    with Mute(answer) as server, client_of(server.host, scheme="https", hello_seconds=0.2) as client:
        began = time.monotonic()

        assert client.fetch() == (0, BLOB)

        assert 0.2 <= time.monotonic() - began < 2
        assert 0 < server.hello_bytes < 4096


def test_a_proxy_has_its_time_to_reach_an_insecure_registry() -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with Mute(refusal, seconds=0.5) as proxy:
        transport = Transport(proxies=lambda: ProxyRules(https=f"http://{proxy.host}"))
        client = RegistryClient(Sender(transport, anonymous, hello_seconds=0.1))

        with pytest.raises(ProxyRefusedError):
            client.check(Endpoint("registry.test", secure=False))


@pytest.mark.parametrize(
    ("offered", "said", "wants_login"),
    [
        ("Proxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate", "a login by ntlm, negotiate, which", False),
        ('Proxy-Authenticate: Negotiate, Basic realm="x"', "wants a login (HTTP 407)", True),
    ],
)
def test_a_proxy_whose_login_cannot_be_given_is_told_from_one_that_was_given_none(
    offered: str, said: str, *, wants_login: bool
) -> None:
    refusal = f"HTTP/1.1 407 Proxy Authentication Required\r\n{offered}\r\nContent-Length: 0\r\n\r\n"
    with Mute(refusal.encode()) as proxy:
        transport = Transport(proxies=lambda: ProxyRules(https=f"http://{proxy.host}"))
        with pytest.raises(ProxyRefusedError) as caught:
            RegistryClient(Sender(transport, anonymous)).check(Endpoint("registry.test"))

    assert said in str(caught.value)
    assert caught.value.wants_login == wants_login


def test_a_proxy_that_lets_nobody_through_to_a_host_is_told_with_that_host() -> None:
    with Mute(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as proxy:
        transport = Transport(proxies=lambda: ProxyRules(https=f"http://{proxy.host}"))
        with pytest.raises(ProxyRefusedError, match=r"through to registry\.test \(HTTP 403\)"):
            RegistryClient(Sender(transport, anonymous)).check(Endpoint("registry.test"))


def test_what_is_no_proxy_is_not_the_registrys_fault() -> None:
    with Mute(b"SSH-2.0-OpenSSH_9.2\r\n") as proxy:
        transport = Transport(proxies=lambda: ProxyRules(https=f"http://{proxy.host}"))
        with pytest.raises(MisbehavedError, match=f"the proxy {proxy.host}: does not speak HTTP") as caught:
            RegistryClient(Sender(transport, anonymous)).check(Endpoint("registry.test"))

    assert caught.value.side == Side.WAY


def test_a_secure_registry_is_never_asked_without_tls() -> None:
    with Registry([IMAGE]) as registry:
        with client_of(registry.host, secure=True, scheme="https") as client:
            _, _, error = client.try_fetch()

        assert isinstance(error, UnreachableError)
        assert error.fault in (Fault.TLS, Fault.CUT)
        assert registry.log == []


def test_once_tls_worked_plain_http_is_not_tried(certificate: Certificate) -> None:
    with Registry([IMAGE], faults=[On(RedirectTo("http://127.0.0.1:1"), nth=1)], certificate=certificate) as registry:
        with client_of(registry.host, scheme="https") as client:
            _, _, error = client.try_fetch()

        assert isinstance(error, UnreachableError)
        assert registry.connections == 1


def test_a_server_that_answers_400_to_plain_http_is_not_taken_for_a_plain_one() -> None:
    answer = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    with Mute(answer) as server, client_of(server.host, scheme="https", hello_seconds=0.1) as client:
        for _ in range(2):
            hellos = server.hello_bytes
            with pytest.raises(UnreachableError) as caught:
                client.fetch()

            assert caught.value.fault is Fault.TLS  # for what it wants it was only too slow
            assert server.hello_bytes > hellos


def test_a_plain_registry_that_has_got_a_certificate_is_asked_by_tls_from_then_on(certificate: Certificate) -> None:
    with Registry([IMAGE]) as registry, client_of(registry.host, scheme="https") as client:
        client.manifest()
        wants_tls = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
        registry.faults = [On(RawResponse(wants_tls), nth=1)]
        registry.show(certificate)

        assert client.manifest()
        assert client.fetch() == (0, BLOB)
        assert [line.status for line in registry.log] == [200, 0, 200, 200]


def test_a_registry_that_has_lost_its_certificate_is_asked_by_plain_http_from_then_on(certificate: Certificate) -> None:
    with (
        Registry([IMAGE], certificate=certificate) as registry,
        client_of(registry.host, scheme="https") as client,
    ):
        client.manifest()
        registry.drop_connections()
        registry.show(None)

        assert client.manifest()
        assert client.fetch() == (0, BLOB)


def test_a_registry_that_must_be_asked_by_tls_is_asked_so_though_it_has_lost_its_certificate(
    certificate: Certificate,
) -> None:
    with (
        Registry([IMAGE], certificate=certificate) as registry,
        client_of(registry.host, secure=True, scheme="https") as client,
    ):
        trust(client, certificate)
        client.manifest()
        registry.drop_connections()
        registry.show(None)

        with pytest.raises(UnreachableError):
            client.manifest()
        assert [line.kind for line in registry.log if line.status == 200] == ["manifest"]


def test_an_insecure_registry_whose_tls_is_slow_has_longer_for_it_each_time() -> None:
    answer = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    waits: list[float] = []
    with Mute(answer) as server, client_of(server.host, scheme="https", hello_seconds=0.1) as client:
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(UnreachableError):
                client.fetch()
            waits.append(time.monotonic() - began)

    assert waits[1] >= 0.2
    assert waits[2] >= 0.4


def test_insecure_tls_settings_look_at_nothing() -> None:
    assert tls_context(verify=False).verify_mode is ssl.CERT_NONE
    assert tls_context(verify=True).verify_mode is ssl.CERT_REQUIRED
