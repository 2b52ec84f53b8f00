"""HTTP servers of a test's own on loopback, each in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread


class Answerer(BaseHTTPRequestHandler):
    """A handler that writes no line for each request, and has one method for all of them."""

    def respond(self) -> None:
        """Answer `self.command` for `self.path`."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Take a request."""
        self.respond()

    do_HEAD = do_POST = do_GET  # noqa: N815  # the base's names

    def answer(self, status: int, body: bytes, *, missing: int = 0) -> None:
        """Send a status and a body, of which `missing` bytes are announced and never come."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + missing))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def running(server: HTTPServer) -> Iterator[None]:
    """Have a server answer until the block ends."""
    thread = Thread(target=server.serve_forever, args=(0.01,))  # how often it looks whether it shall end
    with server:
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
