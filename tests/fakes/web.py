"""A web server that has one file, and every habit that web servers have."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import ClassVar

from headway.distribution.endpoints import Endpoint
from headway.distribution.web_file import WebFile
from headway.interfaces.registries import WebStream
from tests.fakes.http_server import Answerer, running

PATH = "/root.tar"


@dataclass(slots=True)
class Web:
    """What the server has and how it behaves; it may be changed while it runs.

    Attributes:
        data: The file.
        etag: Its validator; empty for none.
        says_length: Whether it says how long the file is, or sends it in chunks.
        answers_head: Whether a HEAD is answered like a GET, or refused.
        heeds_range: Whether a range is sent, or the whole file.
        cut_after: After how many bytes of a body each connection is reset; 0 for never.
        status: What it answers to everything; 200 for the file.
        status_after_cut: What it answers from its first cut on; 0 for what it does before.
        requests: Each request: its method and its ``Range``.
        sent: Bytes of bodies that were handed to the network.
        url: Where the file is.
    """

    data: bytes
    etag: str = '"1"'
    says_length: bool = True
    answers_head: bool = True
    heeds_range: bool = True
    cut_after: int = 0
    status: int = 200
    status_after_cut: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0
    url: str = ""


@contextmanager
def serving(web: Web) -> Iterator[Web]:
    """Serve it on loopback until the block ends."""
    handler = type("Handler", (_Handler,), {"web": web})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    web.url = f"http://127.0.0.1:{server.server_address[1]}{PATH}"
    with running(server):
        yield web


class _Handler(Answerer):
    protocol_version = "HTTP/1.1"
    web: ClassVar[Web]

    def respond(self) -> None:
        web = self.web
        status = 405 if self.command == "HEAD" and not web.answers_head else web.status
        web.requests.append((self.command, self.headers.get("Range", "")))
        if status != 200:
            self._refuse(status)
            return
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if web.heeds_range else None
        start = int(found[1]) if found else 0
        end = int(found[2]) + 1 if found and found[2] else len(web.data)
        if found and start >= len(web.data):
            self._refuse(416, {"Content-Range": f"bytes */{len(web.data)}"})
            return
        self.send_response(206 if found else 200)
        if found:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(web.data)}")
        if web.etag:
            self.send_header("ETag", web.etag)
        if web.says_length:
            self.send_header("Content-Length", str(end - start))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "GET":
            with suppress(ConnectionError):  # the client has seen enough
                self._send(web.data[start:end])
        self.close_connection = self.close_connection or not web.says_length

    def _refuse(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        body = b"there is no such thing here\n"
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _send(self, body: bytes) -> None:
        web = self.web
        piece = body[: web.cut_after] if web.cut_after else body
        self.wfile.write(piece[:-1])
        web.sent += len(piece)
        if len(piece) < len(body):
            web.status = web.status_after_cut or web.status  # before the client has what it asks on for
            # An orderly end on what is short: what was sent arrives.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 5))
            self.close_connection = True
        self.wfile.write(piece[-1:])


class NoWeb:
    """`interfaces.registries.WebFiles` of a machine that reaches no web server."""

    def look(self, endpoint: Endpoint) -> WebFile | None:
        raise AssertionError(f"{endpoint} is asked for a file")

    def open(self, endpoint: Endpoint, url: str) -> WebStream:
        raise AssertionError(f"{endpoint} is asked for {url}")
