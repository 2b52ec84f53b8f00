"""Registries, and other web servers: reading from them, pushing to them, searching and probing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from headway.distribution.diagnosis import Reached
from headway.distribution.endpoints import Endpoint
from headway.distribution.web_file import WebFile
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.oci.reference import Reference
from headway.records import FoundRepository, RawManifest


class BlobStream(Protocol):
    """The body of one blob request.

    Lifecycle: call `open` once, `read` until it returns ``b""``, and `close` always. `abort` may be called from
    another thread at any time and makes a blocked call end soon with `UnreachableError`.

    Attributes:
        stall_limit_seconds: How long a call may wait for a byte; may be changed between reads.
    """

    stall_limit_seconds: float

    @property
    def received_bytes(self) -> int:
        """Bytes received over the connection so far, headers included."""

    def open(self) -> int:
        """Send the request and return the offset in the blob at which the body starts.

        It is the requested offset, or 0 where the server ignored the range; any other start raises.

        Raises:
            UnreachableError: No connection, or no answer within the stall limit.
            RefusedError: 401 or 403 after authentication.
            NotFoundError: The registry does not have this blob.
            ThrottledError: 429.
            HeldBackError: Nothing was sent: the registry has asked to be left alone for a time that has not passed.
            UnavailableError: 5xx.
            RejectedError: 402, 451, 501 or 505: trying again would not help.
            WrongSizeError: The registry says that the blob has another size than the descriptor promises.
            MisbehavedError: A length, a range or a content type that cannot belong to this blob.
        """

    def read(self) -> bytes:
        """Return what has arrived, at least one byte; ``b""`` at the end of the body.

        Raises:
            UnreachableError: The connection was lost, or silent for longer than the stall limit.
        """

    def abort(self) -> None:
        """Make the call that is under way in another thread end."""

    def close(self) -> None:
        """Give the connection back or end it."""


class Registry(Protocol):
    """Reads from registries. Errors are those of `BlobStream.open`; any thread may call.

    `repository` is always the path within the registry, without its domain.
    """

    def resolve(self, endpoint: Endpoint, reference: Reference) -> Descriptor:
        """Return the descriptor of the manifest that a tag or digest names, at the cost of one HEAD.

        Raises:
            NotFoundError: The registry does not know it.
        """

    def fetch_manifest(self, endpoint: Endpoint, repository: str, digest: Digest) -> RawManifest:
        """Return the manifest with `digest`, verified.

        Raises:
            NotFoundError: The registry does not have it.
            DigestMismatchError: It sent something else.
            InvalidDocumentError: Larger than 4 MiB.
        """

    def tags(self, endpoint: Endpoint, repository: str) -> list[str]:
        """Return the tags of a repository, in the registry's order.

        Raises:
            NotFoundError: The registry does not have it.
        """

    def blob(self, endpoint: Endpoint, repository: str, descriptor: Descriptor, offset: int, end: int) -> BlobStream:
        """Return a stream of the blob's bytes from `offset` up to `end`; nothing is sent before its `open`."""


class Piece(msgspec.Struct, frozen=True):
    """A range of a blob that is to be uploaded.

    Attributes:
        offset: Where it begins in the blob.
        end: Where it ends, exclusive.
        read: Returns bytes of the blob, by offset and length.
        allowance: How many bytes of pieces one connection may carry in all, this one included; None for any number.
        progress: Called with the number of its bytes handed to the kernel so far, in the thread that sends.
    """

    offset: int
    end: int
    read: Callable[[int, int], bytes]
    allowance: int | None = None
    progress: Callable[[int], None] = lambda _: None


class Mount(msgspec.Struct, frozen=True):
    """A blob to mount from another repository of the same registry.

    Attributes:
        digest: Digest of the blob.
        source: Path of that repository.
    """

    digest: Digest
    source: str


class UploadSession(Protocol):
    """The upload of one blob into a repository.

    Lifecycle: `begin`, then `send` (and `held`, to ask) until everything is there, then `finish`; a session that is
    lost begins again. For a registry that takes a blob only in one request, `finish` carries all of it.
    One thread at a time calls; `abort` may be called from another one at any time, and makes a blocked call end soon,
    and every later one at once, with `UnreachableError`. Errors are those of `BlobStream.open`, and those named.

    Attributes:
        carried: Bytes of whole pieces that the connection of the last `send` has transferred; if that `send` failed,
            those before it.
        sent_bytes: Bytes of pieces handed to the kernel in all.
    """

    carried: int
    sent_bytes: int

    def begin(self, mount: Mount | None = None) -> int | None:
        """Begin a session and return the smallest size of a piece, in bytes; None if the blob was mounted instead.

        Args:
            mount: A blob to mount from another repository, if the registry allows that.
        """

    def send(self, piece: Piece) -> int | None:
        """Send a piece; return how many bytes the registry says it has, or None where it does not say.

        Raises:
            NotFoundError: The session is lost.
            TooLargeError: The piece is too large for the registry, or for a proxy before it.
            RejectedError: The registry takes no pushes.
            MisbehavedError: The registry does not accept the piece.
        """

    def held(self) -> int | None:
        """Ask how many bytes the registry has; None where it does not know the session, or cannot tell."""

    def finish(self, digest: Digest, whole: Piece | None = None) -> None:
        """End the session: what was sent becomes the blob with `digest`.

        Args:
            digest: Digest of the blob.
            whole: The whole blob, to be sent with this request if nothing was sent before; None if everything was.

        Raises:
            NotFoundError: The session is lost, or was finished before.
            DigestMismatchError: The registry received other bytes.
            TooLargeError: `whole` is too large for the registry, or for a proxy before it.
        """

    def cancel(self) -> None:
        """Discard the session. A failure is ignored: registries forget sessions by themselves."""

    def abort(self) -> None:
        """Make the call that is under way in another thread end."""


class Pusher(Protocol):
    """Puts content into registries. Errors are those of `BlobStream.open`; any thread may call.

    `repository` is always the path within the registry, without its domain.
    """

    def blob_size(self, endpoint: Endpoint, repository: str, digest: Digest) -> int | None:
        """Return the length of a blob in bytes, None where the repository does not have it; costs one HEAD.

        It is 0 where the repository has it and does not say how long it is.
        """

    def has_manifest(self, endpoint: Endpoint, repository: str, digest: Digest) -> bool:
        """Tell whether a repository has a manifest or index; costs one HEAD."""

    def session(self, endpoint: Endpoint, repository: str) -> UploadSession:
        """Return an upload; nothing is sent before its `begin`."""

    def put_manifest(self, endpoint: Endpoint, repository: str, name: str, manifest: RawManifest) -> int:
        """Put a manifest or index where all that it names is already; return the HTTP status that it was taken with.

        201 says that it is stored (distribution-spec, "Pushing Manifests"); who says another may have forgotten it.

        Args:
            endpoint: Whom to ask.
            repository: Where to.
            name: A tag, or its digest.
            manifest: The bytes and their media type.

        Raises:
            TooLargeError: It is too large for the registry, or for a proxy before it.
            RejectedError: The registry does not take it, or says that it has another digest.
        """


class SearchIndex(Protocol):
    """Finds repositories by a search term. Errors are those of `BlobStream.open`."""

    def search(self, endpoint: Endpoint, term: str, limit: int) -> list[FoundRepository]:
        """Return at most `limit` repositories, best first.

        Raises:
            MisbehavedError: The registry has no search, or answers with something else.
        """


class Meter(Protocol):
    """Counters of one process's traffic with registries.

    Attributes:
        requests: Requests that were answered, including those for tokens and those that were redirected.
        received_bytes: Bytes received over all connections, with headers, without the overhead of TLS.
        sent_bytes: Bytes of request bodies that were sent, including those sent more than once.
    """

    requests: int
    received_bytes: int
    sent_bytes: int


class Probe(Protocol):
    """Measures the stages of a first request to a registry."""

    def reach(self, endpoint: Endpoint) -> Reached:
        """Send a request without a login, and measure each stage.

        Raises:
            UnreachableError: Nobody answers.
            MisbehavedError: The answer is not HTTP.
        """


class WebStream(Protocol):
    """A file of a web server while it is received; also an `interfaces.files.TarSource`.

    Attributes:
        size: Its length in bytes; None where the server does not say.
    """

    size: int | None

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, ``b""`` at the end.

        Raises:
            UnreachableError: The connection was lost, or silent for too long.
        """

    def abort(self) -> None:
        """Make the call that is under way in another thread end."""

    def close(self) -> None:
        """Give the connection back or end it."""


class WebFiles(Protocol):
    """Reads files from any web server; endpoints are made from URLs by `distribution.web_file.web_endpoint`."""

    def look(self, endpoint: Endpoint) -> WebFile | None:
        """Return what the server says about a file, at the cost of one HEAD; None if it does not answer a HEAD.

        Raises:
            UnreachableError: No connection, or no answer in time.
        """

    def open(self, endpoint: Endpoint, url: str) -> WebStream:
        """Return the file, once its headers have arrived.

        Raises:
            FetchRefusedError: The server does not send the file.
            UnreachableError: No connection, or no answer in time.
        """
