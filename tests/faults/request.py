"""What a client of the scripted registry asked for, and the line of the log that tells of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.faults.reply import Reply

_UPLOAD = re.compile(r"/v2/(?P<repository>.+)/blobs/uploads/(?P<reference>[^/]*)\Z")
_CONTENT = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, taken apart.

    Attributes:
        method: As sent.
        path: Without the query.
        query: Its parameters, the last of each name; of scopes all, with spaces.
        headers: By name in lower case.
        body: As far as it came.
        kind: ``manifest``, ``blob``, ``upload``, ``token``, or ``other``.
        repository: Of a manifest, a blob or an upload.
        reference: Tag or digest of a manifest, digest of a blob, number of an upload.
        is_cut: Whether the connection ended before the body did.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    kind: str
    repository: str
    reference: str
    is_cut: bool = False

    @classmethod
    def read(cls, stream: BinaryIO) -> Request | None:
        """Read the next request; None where the client has ended."""
        line = stream.readline(65536).decode("latin-1").split()
        if len(line) != 3 or not line[2].startswith("HTTP/"):
            return None
        headers: dict[str, str] = {}
        while (field := stream.readline(65536)) not in {b"\r\n", b"\n", b""}:
            name, _, value = field.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        url = urlsplit(line[1])
        path = unquote(url.path)
        upload, match = _UPLOAD.match(path), _CONTENT.match(path)
        length = int(headers.get("content-length", 0))
        body = stream.read(length)
        kind = match["kind"].removesuffix("s") if match else "token" if path == "/token" else "other"
        match = upload or match
        return cls(
            method=line[0],
            path=path,
            query=_parameters(url.query),
            headers=headers,
            body=body,
            kind="upload" if upload else kind,
            repository=match["repository"] if match else "",
            reference=match["reference"] if match else "",
            is_cut=len(body) < length,
        )

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants to ask again on this connection."""
        return self.headers.get("connection", "").lower() != "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One line of the request log.

    Attributes:
        seconds: When it was asked, since the registry was made.
        method: As sent.
        path: Without the query, which may hold a signature.
        kind: As in `Request`.
        range: The Range header, or nothing.
        status: Of the answer; 0 where that was not HTTP.
        authorized: Whether an Authorization header came; its value is not kept.
        accept: The Accept header.
        user_agent: The User-Agent header.
        reply: The answer; it may be on its way still.
    """

    seconds: float
    method: str
    path: str
    kind: str
    range: str
    status: int
    authorized: bool
    accept: str
    user_agent: str
    reply: Reply = field(repr=False)

    @classmethod
    def of(cls, request: Request, reply: Reply, *, seconds: float) -> Exchange:
        """Return the line for a request and the answer it is about to get."""
        return cls(
            seconds=seconds,
            method=request.method,
            path=request.path,
            kind=request.kind,
            range=request.headers.get("range", ""),
            status=reply.status if reply.raw is None else 0,
            authorized="authorization" in request.headers,
            accept=request.headers.get("accept", ""),
            user_agent=request.headers.get("user-agent", ""),
            reply=reply,
        )

    @property
    def sent(self) -> int:
        """Bytes of the body that were handed to the client."""
        return self.reply.sent


def _parameters(query: str) -> dict[str, str]:
    found = parse_qsl(query)
    scopes = " ".join(value for name, value in found if name == "scope")
    return dict(found) | ({"scope": scopes} if scopes else {})
