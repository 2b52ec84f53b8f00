"""A floor that is measured on an error would be too low, and nobody would see it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from pathlib import Path

import pytest

from bench.floors import check_digest, fetch
from bench.processes import BenchError
from tests.fakes.http_server import Answerer, running


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Handler(Answerer):
        def respond(self) -> None:
            self.answer(status, body)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    with running(server):
        yield f"127.0.0.1:{server.server_port}"


@pytest.mark.parametrize(("status", "body"), [(404, b"content"), (200, b"cont")])
def test_a_blob_that_does_not_come_ends_the_measurement(tmp_path: Path, status: int, body: bytes) -> None:
    blob = tmp_path / "ab"
    blob.write_bytes(b"content")

    with answering(status, body) as address, pytest.raises(BenchError, match=f"answered {status} and {len(body)}"):
        fetch(address, "image", blob)


def test_a_blob_that_comes_is_a_floor(tmp_path: Path) -> None:
    blob = tmp_path / "ab"
    blob.write_bytes(b"content")

    with answering(200, b"content") as address:
        fetch(address, "image", blob)


def test_a_tar_that_is_not_the_layers_ends_the_measurement() -> None:
    digest = f"sha256:{hashlib.sha256(b'tar').hexdigest()}"

    check_digest(iter([b"t", b"ar"]), digest)
    with pytest.raises(BenchError, match=digest):
        check_digest(iter([b"t", b"a"]), digest)
