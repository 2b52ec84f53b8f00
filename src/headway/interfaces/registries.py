"""Reads from registries."""

from __future__ import annotations

from typing import Protocol

from headway.distribution.endpoints import Endpoint
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
    """

    requests: int
    received_bytes: int
