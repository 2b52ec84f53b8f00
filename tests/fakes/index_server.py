"""An index that answers searches over HTTP on loopback, as Docker Hub does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.fakes.http_server import Answerer, running


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

    class Handler(Answerer):
        def respond(self) -> None:
            self.answer(index.status, index.answer(self.path))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index.host = f"127.0.0.1:{server.server_port}"
    with running(server):
        yield index
