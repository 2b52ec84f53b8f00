"""Reads from registries, and pushes to them."""

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

    Lifecycle: `open` once, `read` until it returns nothing, `close` always. `abort` may come from another thread at
    any time and makes a blocked call end soon with `UnreachableError`.

    Attributes:
        stall_limit_seconds: How long a call may wait without any byte; may be changed between reads.
    """

    stall_limit_seconds: float

    @property
    def received_bytes(self) -> int:
        """Bytes that came over the connection so far, headers included."""

    def open(self) -> int:
        """Send the request and return the offset in the blob at which the body starts.

        It is the offset asked for, or 0 where the server ignored the range; other answers raise.

        Raises:
            UnreachableError: No connection, or no answer within the stall limit.
            RefusedError: 401 or 403 after authentication.
            NotFoundError: The registry does not have this blob.
            ThrottledError: 429.
            HeldBackError: Nothing was sent, since the registry has asked for a time that has not passed.
            UnavailableError: 5xx.
            RejectedError: 402, 451, 501 or 505: asking again would not help.
            WrongSizeError: The registry says that the blob has another size than the descriptor promises.
            MisbehavedError: A length, a range or a content type that cannot belong to this blob.
        """

    def read(self) -> bytes:
        """Return what has arrived, at least one byte; nothing at the end of the body.

        Raises:
            UnreachableError: The connection was lost, or silent for longer than the stall limit.
        """

    def abort(self) -> None:
        """Make the call that is under way in another thread end."""

    def close(self) -> None:
        """Give the connection back or end it."""


class Registry(Protocol):
    """Reads from registries. Errors are those of `BlobStream.open`; concurrent calls do not disturb each other.

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
    """Some bytes of a blob on their way up.

    Attributes:
        offset: Where they begin in the blob.
        end: Where they end.
        read: Returns bytes of the blob, by offset and length.
        allowance: How many bytes of pieces one connection may carry in all, these included; None for any number.
        progress: Told how many of them have been handed over, in the thread that sends.
    """

    offset: int
    end: int
    read: Callable[[int, int], bytes]
    allowance: int | None = None
    progress: Callable[[int], None] = lambda _: None


class Mount(msgspec.Struct, frozen=True):
    """A blob that another repository of the same registry has.

    Attributes:
        digest: Of the blob.
        source: Path of that repository.
    """

    digest: Digest
    source: str


class UploadSession(Protocol):
    """One blob's way into a repository.

    Lifecycle: `begin`, then `send` and `held` until all is there, then `finish`; a session that is lost begins again.
    What a registry takes whole only goes with `finish`.
    One thread at a time calls; `abort` may come from another one at any time and makes a blocked call end soon with
    `UnreachableError`, and later ones at once. Errors are those of `BlobStream.open`, and those named.

    Attributes:
        carried: Bytes of whole pieces that the connection of the last `send` has brought over; where that `send` has
            failed, before it.
        sent_bytes: Bytes of pieces that were handed over in all.
    """

    carried: int
    sent_bytes: int

    def begin(self, mount: Mount | None = None) -> int | None:
        """Begin a session and return how large a piece has to be at least; None where the blob was mounted instead.

        Args:
            mount: A blob to take from another repository, where the registry lets us.
        """

    def send(self, piece: Piece) -> int | None:
        """Send a piece; return how many bytes the registry says it has, None where it does not say.

        Raises:
            NotFoundError: The session is lost.
            TooLargeError: The piece is too large for it, or for a proxy before it.
            RejectedError: It takes no pushes.
            MisbehavedError: It is not what the registry expects.
        """

    def held(self) -> int | None:
        """Ask how many bytes the registry has; None where it does not know the session, or never tells."""

    def finish(self, digest: Digest, whole: Piece | None = None) -> None:
        """Let the session become the blob with `digest`.

        Args:
            digest: Of the blob.
            whole: All of it, to be sent with that where nothing was sent before; None where everything was.

        Raises:
            NotFoundError: The session is lost, or has been finished before.
            DigestMismatchError: The registry has got something else.
            TooLargeError: `whole` is too large for it, or for a proxy before it.
        """

    def cancel(self) -> None:
        """End the session; nothing is kept of it. That may fail silently: registries forget sessions anyway."""

    def abort(self) -> None:
        """Make the call that is under way in another thread end."""


class Pusher(Protocol):
    """Puts content into registries. Errors are those of `BlobStream.open`; concurrent calls do not disturb each other.

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
    """What finds repositories by words. Errors are those of `BlobStream.open`."""

    def search(self, endpoint: Endpoint, term: str, limit: int) -> list[FoundRepository]:
        """Return at most `limit` repositories, best first.

        Raises:
            MisbehavedError: There is no index, or it answers with something else.
        """


class Meter(Protocol):
    """What one process has asked of registries so far.

    Attributes:
        requests: How many were answered, those for tokens and redirects included.
        received_bytes: What came over all connections, headers included (as counted before TLS).
        sent_bytes: What bodies of requests took on their way there, those that were sent again too.
    """

    requests: int
    received_bytes: int
    sent_bytes: int


class Probe(Protocol):
    """Takes a first request to a registry apart."""

    def reach(self, endpoint: Endpoint) -> Reached:
        """Ask whether somebody answers, without a login, and measure each stage.

        Raises:
            UnreachableError: Nobody does.
            MisbehavedError: What answers does not speak HTTP.
        """


class WebStream(Protocol):
    """The body of a file on its way; it is an `interfaces.files.TarSource`, too.

    Attributes:
        size: Its length in bytes; None where the server does not say.
    """

    size: int | None

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, nothing at the end.

        Raises:
            UnreachableError: The connection was lost, or silent for too long.
        """

    def abort(self) -> None:
        """Make the call that is under way in another thread end."""

    def close(self) -> None:
        """Give the connection back or end it."""


class WebFiles(Protocol):
    """Asks any web server for a file; the endpoint is that of a URL (`distribution.web_file.web_endpoint`)."""

    def look(self, endpoint: Endpoint) -> WebFile | None:
        """Return what the server says of a file, at the cost of one HEAD; None where it says nothing to that.

        Raises:
            UnreachableError: No connection, or no answer in time.
        """

    def open(self, endpoint: Endpoint, url: str) -> WebStream:
        """Return the file, once its headers are here.

        Raises:
            FetchRefusedError: The server answers with something else.
            UnreachableError: No connection, or no answer in time.
        """
