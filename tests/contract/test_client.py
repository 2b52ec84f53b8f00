"""Headway's command before daemons that are not what it is made for."""

from __future__ import annotations

import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from itertools import repeat
from pathlib import Path
from threading import Thread

import pytest

from headway.cli.failures import explain
from headway.client.daemon import Daemon
from headway.client.docker import Docker
from headway.client.pulls import DaemonPulls
from headway.engine.listeners import Address
from headway.errors import NoDaemonError, NoDockerError, RequestError
from headway.interfaces.pulls import Wish
from tests.fakes.http_server import Answerer, running
from tests.faults.tls import make_certificate


@contextmanager
def answering(
    body: bytes, *, status: int = 200, missing: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Daemon]:
    """Run a newer Headway, which answers everything with `body`, and ends `missing` bytes before its announced end."""

    class Handler(Answerer):
        server_version = "Headway/99"

        def respond(self) -> None:
            self.answer(status, body, missing=missing)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with running(server):
        yield Daemon(Address("tcp", host="127.0.0.1", port=server.server_port))


@pytest.mark.parametrize(
    "ask",
    [
        lambda daemon: daemon.images({}),
        lambda daemon: list(daemon.events("", "", {})),
        lambda daemon: list(daemon.load(iter(()), None)),
        lambda daemon: DaemonPulls(daemon).pull(Wish(reference="a:1"), lambda _: None, None),
    ],
    ids=["images", "events", "load", "pull"],
)
@pytest.mark.parametrize("body", [b"7\n", b"not JSON\n"])
def test_what_a_newer_daemon_says_otherwise_is_told_as_that(ask: Callable[[Daemon], object], body: bytes) -> None:
    with answering(body) as daemon, pytest.raises(NoDaemonError, match="another version of Headway's"):
        ask(daemon)


def test_a_kind_of_event_that_only_a_newer_daemon_knows_is_passed_over() -> None:
    told: list[object] = []
    with answering(b'{"kind":"Weather","event":{}}\n') as daemon, pytest.raises(NoDaemonError, match="in the middle"):
        DaemonPulls(daemon).pull(Wish(reference="a:1"), told.append, None)

    assert told == []


def test_a_daemon_that_ends_while_it_says_why_is_told_by_what_it_had_said() -> None:
    with answering(b'{"message":"no', status=409, missing=9) as daemon:
        with pytest.raises(RequestError, match="the daemon answers HTTP 409"):
            daemon.images({})
        with pytest.raises(NoDockerError, match="it answers HTTP 409"):
            Docker(daemon.address).images()


@pytest.mark.parametrize("wants_certificates", [False, True])
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_daemon_that_speaks_tls_is_told_as_that(
    tmp_path: Path, newest: ssl.TLSVersion, *, wants_certificates: bool
) -> None:
    made = make_certificate(tmp_path)
    context = made.server_context()
    context.maximum_version = newest
    if wants_certificates:
        context.load_verify_locations(made.certificate)
        context.verify_mode = ssl.CERT_REQUIRED

    with (
        answering(b"[]", tls=context) as daemon,
        pytest.raises(NoDaemonError, match="it speaks TLS: let HEADWAY") as no,
    ):
        daemon.images({})

    assert no.value.tls


@pytest.mark.parametrize("knows_it", [False, True])
@pytest.mark.parametrize(
    "ask", [lambda *where: Daemon(*where).images({}), lambda *where: Docker(*where).images()], ids=["ours", "docker's"]
)
def test_a_certificate_that_is_not_taken_is_told_as_that_and_not_as_no_daemon(
    tmp_path: Path, ask: Callable[[Address, Path], object], *, knows_it: bool
) -> None:
    made = make_certificate(tmp_path)
    (tmp_path / "own").mkdir()
    shutil.copy(made.certificate if knows_it else make_certificate(tmp_path / "own").certificate, tmp_path / "ca.pem")
    context = made.server_context()
    context.load_verify_locations(made.certificate)
    context.verify_mode = ssl.CERT_REQUIRED  # and the client has none

    with (
        answering(b"[]", tls=context) as daemon,
        pytest.raises(NoDaemonError, match="cannot speak TLS with the") as no,
    ):
        ask(daemon.address, tmp_path)

    assert explain(no.value).splitlines()[1].startswith("next: check ca.pem, cert.pem and key.pem")


@pytest.mark.parametrize("greets", [False, True])
def test_a_connection_that_is_lost_is_not_tlss_fault(tmp_path: Path, *, greets: bool) -> None:
    made = make_certificate(tmp_path)
    shutil.copy(made.certificate, tmp_path / "ca.pem")

    def cut() -> None:
        met, _ = server.accept()
        with made.server_context().wrap_socket(met, server_side=True) if greets else met:
            pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=cut)
        thread.start()
        daemon = Daemon(Address("tcp", host="127.0.0.1", port=server.getsockname()[1]), tmp_path)
        with pytest.raises(NoDaemonError, match="no daemon at") as no:
            list(daemon.load(repeat(bytes(1 << 20), 50), None))
        thread.join()

    assert not no.value.tls


def test_a_daemon_that_speaks_no_tls_is_told_as_that(tmp_path: Path) -> None:
    make_certificate(tmp_path).certificate.rename(tmp_path / "ca.pem")

    with answering(b"[]") as daemon, pytest.raises(NoDaemonError, match="it speaks no TLS"):
        Daemon(daemon.address, tmp_path).images({})


def test_a_connection_that_is_lost_is_told_as_that() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        daemon = Daemon(Address("tcp", host="127.0.0.1", port=listener.getsockname()[1]))

        def hang_up() -> None:
            for _ in range(2):  # the request, and the question whether it should have been TLS
                listener.accept()[0].close()

        thread = Thread(target=hang_up)
        thread.start()
        with pytest.raises(NoDaemonError, match="the connection was lost"):
            daemon.images({})
        thread.join()
