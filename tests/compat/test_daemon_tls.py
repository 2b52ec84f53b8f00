"""Mutual TLS as a client of the daemon meets it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fakes.cli import Cli
from tests.fakes.daemon import Daemon, daemon
from tests.faults.tls import Certificate, make_certificate

PING = b"GET /_ping HTTP/1.0\r\n\r\n"


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def running(tmp_path: Path, certificate: Certificate, port: int) -> Iterator[Daemon]:
    files: list[str | Path] = [
        "--tlscacert",
        certificate.certificate,
        "--tlscert",
        certificate.certificate,
        "--tlskey",
        certificate.key,
    ]
    with daemon(tmp_path / "d", "-H", f"tcp://127.0.0.1:{port}", "--tlsverify", *files) as running:
        yield running
        assert running.bugs == []


def pinged(port: int, trusted: Certificate, own: Certificate | None) -> bytes:
    context = ssl.create_default_context(cafile=trusted.certificate)
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(PING)
        return b"".join(iter(lambda: connection.recv(4096), b""))


@pytest.mark.usefixtures("running")
def test_a_client_with_a_certificate_is_answered(certificate: Certificate, port: int) -> None:
    assert pinged(port, certificate, certificate).endswith(b"\r\n\r\nOK")


def test_a_client_is_told_what_is_wrong_with_its_certificate(
    running: Daemon, tmp_path: Path, certificate: Certificate, port: int
) -> None:
    (tmp_path / "other").mkdir()

    with pytest.raises(ssl.SSLError, match="certificate required"):
        pinged(port, certificate, None)
    with pytest.raises(ssl.SSLError, match="unknown ca"):
        pinged(port, certificate, make_certificate(tmp_path / "other"))

    assert "TLS handshake error: PEER_DID_NOT_RETURN_A_CERTIFICATE" in running.log.read_text()


@pytest.mark.usefixtures("running")
def test_plain_http_is_cut_at_once(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        plain.sendall(PING)

        with suppress(ConnectionResetError):
            assert plain.recv(4096) == b""


def test_files_that_cannot_be_used_are_named(tmp_path: Path, certificate: Certificate) -> None:
    (tmp_path / "other").mkdir()
    others = make_certificate(tmp_path / "other").key
    words = ["-H", "tcp://127.0.0.1:0", "--tlsverify", "--tlscert", str(certificate.certificate), "--tlskey"]

    mixed = Cli(tmp_path / "root")("daemon", "--validate", *words, str(others), "--tlscacert", str(certificate.key))
    swapped = Cli(tmp_path / "root")(
        "daemon", "--validate", *words, str(certificate.key), "--tlscacert", str(certificate.key)
    )

    assert mixed.stderr.startswith(f"headway: cannot use tlscert {certificate.certificate} with tlskey {others}: ")
    assert swapped.stderr.startswith(f"headway: cannot use tlscacert {certificate.key}: ")
