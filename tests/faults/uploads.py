"""How the scripted registry takes what is pushed (distribution-spec, "Pushing").

As Docker's registry 2.8 does, it loses a session for good when a piece of it is cut midway, unless told to keep pieces.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading

from tests.faults.content import Content, refuse
from tests.faults.reply import Reply
from tests.faults.request import Request


class Uploads:
    """Takes blobs and manifests into a registry's content.

    Args:
        content: What the registry holds.

    Attributes:
        keeps_pieces: Whether a session keeps what arrived of a piece that was cut.
        forgets: Whether it says that it has taken a blob, and does not hold it.
        forgets_manifests: The status with which it accepts manifests that it does not hold then; 0 where it holds them.
        least: What it wants a piece to be at least, in bytes; 0 for any size.
        most: The longest body that it takes; a longer one is answered 413.
        received: Bytes of pieces that arrived, whatever came of them.
    """

    def __init__(self, content: Content) -> None:
        self.keeps_pieces = False
        self.forgets = False
        self.forgets_manifests = 0
        self.least = 0
        self.most: int | None = None
        self.received = 0
        self._content = content
        self._sessions: dict[str, bytearray] = {}
        self._lock = threading.Lock()

    def answer(self, request: Request, reply: Reply) -> None:
        """Answer a request that is about a session, or puts a manifest."""
        with self._lock:
            self.received += len(request.body) if request.kind != "manifest" else 0
            if self.most is not None and len(request.body) > self.most:
                reply.become(413, b"<html>too large</html>", {"Content-Type": "text/html"})
            elif request.kind == "manifest":
                self._put_manifest(request, reply)
            elif request.method == "POST":
                self._begin(request, reply)
            else:
                self._go_on(request, reply)

    def _begin(self, request: Request, reply: Reply) -> None:
        wanted, source = request.query.get("mount", ""), request.query.get("from", "")
        if wanted and self._content.holds(source, wanted):
            self._content.open(request.repository)
            reply.become(201, b"", {"Location": f"/v2/{request.repository}/blobs/{wanted}"})
            return
        number = secrets.token_hex(8)
        self._sessions[number] = bytearray()
        reply.become(202, b"", self._where(request.repository, number))
        if self.least:
            reply.headers["OCI-Chunk-Min-Length"] = str(self.least)

    def _where(self, repository: str, number: str) -> dict[str, str]:
        held = len(self._sessions[number])
        location = f"/v2/{repository}/blobs/uploads/{number}?_state={held}"
        return {"Location": location, "Range": f"0-{max(0, held - 1)}"}

    def _go_on(self, request: Request, reply: Reply) -> None:
        number = request.reference
        session = self._sessions.get(number)
        if session is None:
            refuse(reply, 404, "BLOB_UPLOAD_UNKNOWN")
            return
        match request.method:
            case "PATCH":
                self._take(request, reply, session)
            case "PUT":
                self._end(request, reply, bytes(session) + request.body)
            case "DELETE":
                del self._sessions[number]
                reply.become(204)
            case _:
                reply.become(204, b"", self._where(request.repository, number))

    def _take(self, request: Request, reply: Reply, session: bytearray) -> None:
        start = int(request.headers.get("content-range", "0-").partition("-")[0])
        if start != len(session):
            refuse(reply, 416, "BLOB_UPLOAD_INVALID")
            return
        if request.is_cut and not self.keeps_pieces:
            del self._sessions[request.reference]
            return
        session += request.body
        reply.become(202, b"", self._where(request.repository, request.reference))

    def _end(self, request: Request, reply: Reply, data: bytes) -> None:
        digest = request.query.get("digest", "")
        if digest != f"sha256:{hashlib.sha256(data).hexdigest()}":
            refuse(reply, 400, "DIGEST_INVALID")
            return
        del self._sessions[request.reference]
        if not self.forgets:
            self._content.take(request.repository, digest, data)
        reply.become(201, b"", {"Docker-Content-Digest": digest})

    def _put_manifest(self, request: Request, reply: Reply) -> None:
        document = json.loads(request.body)
        digest = f"sha256:{hashlib.sha256(request.body).hexdigest()}"
        named = document.get("manifests") or [document["config"], *document["layers"]]
        if not all(self._content.holds(request.repository, entry["digest"]) for entry in named):
            refuse(reply, 400, "MANIFEST_BLOB_UNKNOWN")
            return
        if self.forgets_manifests:
            reply.become(self.forgets_manifests, b"", {})
            return
        self._content.take(request.repository, digest, request.body, request.headers["content-type"])
        if ":" not in request.reference:
            self._content.move_tag(request.repository, request.reference, digest)
        reply.become(201, b"", {"Docker-Content-Digest": digest})
