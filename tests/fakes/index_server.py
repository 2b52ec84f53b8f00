"""An index that answers searches over HTTP on loopback, as Docker Hub does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass(slots=True)
class IndexServer:
    """A running index.

    Attributes:
        names: The repositories that it knows.
        host: ``127.0.0.1:port``.
        status: What it answers with.
        body: What it sends; None for what a search finds.
        asked: Path and query of every request.
    """

    names: Sequence[str]
    host: str = ""
    status: int = 200
    body: bytes | None = None
    asked: list[str] = field(default_factory=list)

    def answer(self, target: str) -> bytes:
        """Return the body for a request."""
        self.asked.append(target)
        if self.body is not None:
            return self.body
        query = parse_qs(urlsplit(target).query)
        found = [name for name in self.names if query["q"][0] in name][: int(query["n"][0])]
        results = [{"name": name, "description": None, "star_count": 0, "is_official": False} for name in found]
        return json.dumps({"num_results": len(found), "query": query["q"][0], "results": results}).encode()


@contextmanager
def index_server(names: Sequence[str]) -> Iterator[IndexServer]:
    """Run an index until the block ends."""
    index = IndexServer(names)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = index.answer(self.path)
            self.send_response(index.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        index.host = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()
