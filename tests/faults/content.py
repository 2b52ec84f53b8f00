"""What the scripted registry holds, and its honest answers (distribution-spec, "Pulling")."""

from __future__ import annotations

import json
import re
import threading
import time

from tests.fakes.images import Image
from tests.faults.reply import Reply
from tests.faults.request import Request

_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")
_EXPIRED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
)


class Content:
    """Blobs by digest, and tags by repository."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._media_types: dict[str, str] = {}
        self._tags: dict[tuple[str, str], str] = {}
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def add(self, image: Image, repository: str, tag: str) -> None:
        """Hold an image too; a tag that is there moves."""
        with self._lock:
            self._blobs.update(image.blobs)
            self._media_types.update(image.media_types)
            self._tags[repository, tag] = image.manifest_digest

    def open(self, repository: str) -> None:
        """Know a repository, though no tag is in it."""
        with self._lock:
            self._known.add(repository)

    def take(self, repository: str, digest: str, data: bytes, media_type: str = "") -> None:
        """Hold a blob, or a manifest where it has a media type."""
        with self._lock:
            self._known.add(repository)
            self._blobs[digest] = data
            if media_type:
                self._media_types[digest] = media_type

    def holds(self, repository: str, digest: str) -> bool:
        """Tell whether a GET would find it."""
        with self._lock:
            known = repository in self._known or any(path == repository for path, _ in self._tags)
            return known and digest in self._blobs

    def remove(self, digest: str) -> None:
        """Hold a blob or manifest no longer, if it is held."""
        with self._lock:
            self._blobs.pop(digest, None)

    def move_tag(self, repository: str, tag: str, digest: str) -> None:
        """Let a tag stand for another manifest."""
        with self._lock:
            self._tags[repository, tag] = digest

    def digest_of(self, request: Request) -> str:
        """Return the digest of what is asked for, or what stands in its place where there is none."""
        with self._lock:
            return self._tags.get((request.repository, request.reference), request.reference)

    def answer(self, request: Request, reply: Reply) -> None:
        """Answer a GET or HEAD of a manifest or blob."""
        with self._lock:
            known = any(repository == request.repository for repository, _ in self._tags)
            known = known or request.repository in self._known
            data = self._blobs.get(reply.digest)
            media_type = self._media_types.get(reply.digest)
        if request.method not in {"GET", "HEAD"}:
            refuse(reply, 405, "UNSUPPORTED")
        elif float(request.query.get("expires", "inf")) < time.time():
            reply.become(403, _EXPIRED, {"Content-Type": "application/xml"})
        elif not known:
            refuse(reply, 404, "NAME_UNKNOWN")
        elif data is None or (request.kind == "manifest") != (media_type is not None):
            refuse(reply, 404, f"{request.kind.upper()}_UNKNOWN")
        else:
            headers = {"Content-Type": media_type or "application/octet-stream"}
            reply.become(200, data, headers | {"Docker-Content-Digest": reply.digest})
            if request.kind == "blob":
                _select(reply, request.headers.get("range", ""))


def refuse(reply: Reply, status: int, code: str) -> None:
    """Answer with one of the specification's errors."""
    body = json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}).encode()
    reply.become(status, body, {"Content-Type": "application/json"})


def _select(reply: Reply, asked: str) -> None:
    """Narrow the reply to one range (RFC 9110, section 14); other forms are ignored, as the RFC allows."""
    reply.headers["Accept-Ranges"] = "bytes"
    match = _RANGE.match(asked)
    size = len(reply.content)
    if match is None or match.groups() == ("", ""):
        return
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= size or start >= stop:
        reply.status, reply.start, reply.stop = 416, 0, 0
        reply.headers["Content-Range"] = f"bytes */{size}"
    else:
        reply.status, reply.start, reply.stop = 206, start, stop
