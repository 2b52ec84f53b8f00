"""Uploads blobs to a registry (distribution-spec, "Pushing blobs").

Rule 1: each call makes one request; what to send, when, and whether again, is decided in `distribution.upload`.
Rule 2: the URL of a session is the one that the last answer named: it changes with every answer.
Rule 3: logins go to the registry only. A host that it sends us to sees the signed URL and nothing more.
"""

from __future__ import annotations

import re
import threading
import urllib.parse
from contextlib import suppress

import msgspec

from headway.distribution.challenge import Access
from headway.distribution.endpoints import Endpoint
from headway.errors import (
    Fault,
    HeadwayError,
    MisbehavedError,
    OutOfOrderError,
    RejectedError,
    TooLargeError,
    UnreachableError,
    WebPageError,
)
from headway.interfaces.registries import Mount, Piece
from headway.oci.digest import Digest
from headway.registry.address import split_url, target_of, with_query
from headway.registry.answers import media_type_of
from headway.registry.exchange import Exchange
from headway.registry.request import Request, Sender
from headway.registry.sending import Body

_RANGE = re.compile(r"(?:bytes[= ])?0-(\d{1,18})\Z")
_LEAST = 18
_STREAM = "application/octet-stream"


class _Place(msgspec.Struct, frozen=True):
    """The URL of a session.

    Attributes:
        endpoint: The registry, or the host that it sent us to.
        target: Path and query.
    """

    endpoint: Endpoint
    target: str


class RegistryUpload:
    """Implements `interfaces.registries.UploadSession`."""

    def __init__(self, sender: Sender, endpoint: Endpoint, repository: str) -> None:
        self._sender = sender
        self._endpoint = endpoint
        self._repository = repository
        self._place: _Place | None = None
        self._request: Request | None = None
        self._aborted = False
        self._lock = threading.Lock()
        self.carried = 0
        self.sent_bytes = 0

    def begin(self, mount: Mount | None = None) -> int | None:
        """See `interfaces.registries.UploadSession.begin`."""
        target, source = f"/v2/{self._repository}/blobs/uploads/", ""
        if mount is not None:
            source = mount.source
            target += "?" + urllib.parse.urlencode({"mount": mount.digest, "from": source}, safe="/:")
        access = Access(self._repository, push=True, source=source)
        with self._take_charge_of(Request(self._sender, self._endpoint, access, "POST", target, {})) as request:
            exchange = request.send()
            expected = {201, 202} if mount is not None else {202}
            require_status(
                request, exchange, self._endpoint, self._repository, expected, what="repository", whole="an upload"
            )
            exchange.finish()
            if exchange.status == 201:
                return None
            self._place = self._moved_to(exchange, target)
            if self._place is None:
                raise MisbehavedError(self._endpoint.host, "begins an upload and does not say where")
            least = exchange.headers.get("OCI-Chunk-Min-Length", "").strip()
            return int(least) if least.isdecimal() and len(least) <= _LEAST else 0

    def send(self, piece: Piece) -> int | None:
        """See `interfaces.registries.UploadSession.send`."""
        headers = {"Content-Type": _STREAM, "Content-Range": f"{piece.offset}-{piece.end - 1}"}
        with self._take_charge_of(self._asked("PATCH", headers, self._body(piece))) as request:
            exchange = self._carried_by(request)
            size = piece.end - piece.offset
            require_status(request, exchange, self._endpoint, self._repository, {200, 201, 202, 204}, size=size)
            exchange.finish()
            self._follow(exchange)
            return _held(exchange)

    def _body(self, piece: Piece) -> Body:
        handed_over = 0

        def progress(count: int) -> None:
            nonlocal handed_over
            self.sent_bytes += count - handed_over if count > handed_over else count
            handed_over = count
            piece.progress(count)

        size = piece.end - piece.offset
        return Body(size, lambda at, length: piece.read(piece.offset + at, length), progress, piece.allowance, self)

    def _carried_by(self, request: Request) -> Exchange:
        try:
            return request.send()
        finally:
            self.carried = request.carried

    def held(self) -> int | None:
        """See `interfaces.registries.UploadSession.held`."""
        with self._take_charge_of(self._asked("GET", {})) as request:
            exchange = request.send()
            if exchange.status in (404, 405):  # some registries take pushes but do not offer this request
                return None
            require_status(request, exchange, self._endpoint, self._repository, {200, 202, 204})
            exchange.finish()
            self._follow(exchange)
            held = _held(exchange)
        if held is None:
            raise MisbehavedError(self._endpoint.host, "does not say how much of an upload it has")
        return held

    def finish(self, digest: Digest, whole: Piece | None = None) -> None:
        """See `interfaces.registries.UploadSession.finish`."""
        place = self._require_place()
        target = with_query(place.target, f"digest={urllib.parse.quote(digest, safe='')}")
        body, size = (self._body(whole), whole.end) if whole is not None else (None, 0)
        with self._take_charge_of(self._asked("PUT", {"Content-Type": _STREAM}, body, target=target)) as request:
            exchange = self._carried_by(request)
            require_status(request, exchange, self._endpoint, str(digest), {200, 201, 202, 204}, size=size)
            exchange.finish()

    def cancel(self) -> None:
        """See `interfaces.registries.UploadSession.cancel`."""
        if self._place is None:
            return
        with suppress(HeadwayError), self._take_charge_of(self._asked("DELETE", {})) as request:
            request.send().finish()
        self._place = None

    def abort(self) -> None:
        """See `interfaces.registries.UploadSession.abort`."""
        with self._lock:
            self._aborted = True
            if self._request is not None:
                self._request.abort()

    def _take_charge_of(self, request: Request) -> Request:
        with self._lock:
            if self._aborted:
                raise UnreachableError(self._endpoint.host, Fault.CUT, "aborted")
            self._request = request
        return request

    def _asked(self, method: str, headers: dict[str, str], body: Body | None = None, *, target: str = "") -> Request:
        place = self._require_place()
        access = Access(self._repository, push=True)
        target, endpoint = target or place.target, place.endpoint
        if endpoint != self._endpoint:  # `blob_path` makes it a request without a login
            endpoint = msgspec.structs.replace(endpoint, blob_path=target)
        return Request(self._sender, endpoint, access, method, target, headers, body)

    def _require_place(self) -> _Place:
        if self._place is None:
            raise OutOfOrderError("an upload goes on that has not begun")
        return self._place

    def _follow(self, exchange: Exchange) -> None:
        place = self._require_place()
        self._place = self._moved_to(exchange, place.target) or place

    def _moved_to(self, exchange: Exchange, asked: str) -> _Place | None:
        """Return the URL of the session that an answer names; None where it names none.

        A registry behind a proxy often names its own host with the wrong scheme: for that host, the endpoint is kept.
        """
        location = exchange.headers.get("Location")
        if location is None:
            return None
        here = exchange.address
        url = split_url(location, f"{here.scheme}://{here}{asked}")
        if url is None:
            raise MisbehavedError(self._endpoint.host, "sends an upload to something that is not HTTP")
        target, authority = target_of(url), url.netloc.rpartition("@")[2]
        if authority.lower() in (self._endpoint.host.lower(), str(here).lower(), here.host.lower()):
            return _Place(self._endpoint, target.removeprefix(self._endpoint.prefix))
        if url.scheme == "http" and self._endpoint.secure:
            raise MisbehavedError(self._endpoint.host, "sends an upload to a host without TLS")
        return _Place(Endpoint(authority, secure=self._endpoint.secure, scheme=url.scheme), target)


def _held(exchange: Exchange) -> int | None:
    """Return how many bytes of an upload a registry says it has (distribution-spec, "Resuming an upload").

    ``0-0`` may mean no byte or one byte; Docker's registry means none.
    """
    match = _RANGE.match(exchange.headers.get("Range", "").strip())
    if match is None:
        return None
    last = int(match[1])
    return last + 1 if last else 0


def require_status(
    request: Request,
    exchange: Exchange,
    endpoint: Endpoint,
    name: str,
    expected: set[int],
    *,
    size: int = 0,
    what: str = "upload",
    whole: str = "",
) -> None:
    """Raise the error that an answer means, unless its status is one of those expected.

    Args:
        request: The request.
        exchange: Its answer.
        endpoint: The registry.
        name: Repository or digest that the request was about.
        expected: Statuses that mean success.
        size: Size of the body that was sent, in bytes.
        what: What does not exist if the status is 404.
        whole: What was sent, in words, if it does not depend on earlier requests: then a refusal is final.

    Raises:
        HeadwayError: The error that the answer means.
    """
    status = exchange.status
    if status in expected and media_type_of(exchange) != "text/html":
        return
    if status in (200, 202) and media_type_of(exchange) == "text/html":
        raise WebPageError(endpoint.host)
    if status == 413:
        raise TooLargeError(endpoint.host, size)
    if status == 405:
        raise RejectedError(endpoint.host, status, "takes no pushes (HTTP 405); is it a cache, or read-only?")
    error = request.failure(what, name)
    if whole and isinstance(error, MisbehavedError | RejectedError) and 400 <= status < 500:
        raise RejectedError(endpoint.host, status, f"does not take {whole}: {error.reason}")
    raise error
