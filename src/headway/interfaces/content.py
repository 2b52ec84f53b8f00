"""Content on disk: committed blobs, and ingests (unfinished ones)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from headway.distribution.ranges import Ranges
from headway.oci.digest import Digest


class Follower(Protocol):
    """Reads an ingest from its first byte while it grows. One thread reads; any thread stops it.

    Attributes:
        position: How far it has read.
    """

    @property
    def position(self) -> int:
        """See above."""

    @property
    def is_stopped(self) -> bool:
        """Whether `read` would raise InterruptedError."""

    def ready(self) -> bool:
        """Tell whether `read` would return without waiting."""

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, waiting until they are held; ``b""`` at the end of the blob.

        Raises:
            InterruptedError: `stop` was called, or the ingest was closed or became suspect.
            StoreError: The disk failed.
        """

    def stop(self) -> None:
        """Make the reader's current call, and all later ones, raise InterruptedError."""


class Ingest(Protocol):
    """One unfinished blob, keyed by the digest it will have. Leaving it without `commit` keeps its bytes for a resume.

    At most one is open per digest in all processes (`IngestStore.open`). Any number of threads may write ranges that
    do not overlap while followers read.

    Attributes:
        digest: Digest of the whole blob.
        size: Length of the whole blob, in bytes.
    """

    digest: Digest
    size: int

    def held(self) -> Ranges:
        """Return which bytes are held now, as a copy."""

    def write_at(self, offset: int, data: bytes) -> int:
        """Write `data` and record it; return how many of its bytes were not held before.

        Once this has returned, the bytes survive the death of the process; after `sync` they survive a power cut.

        Raises:
            StoreFullError: No space left; earlier records stay, as does any part of `data` that was still written.
            StoreError: `data` does not lie within the blob, the ingest is closed, or the disk failed.
        """

    def read_at(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset` on; those that are not held have any value.

        Raises:
            StoreError: The disk failed, or the ingest is closed.
        """

    def follow(self) -> Follower:
        """Return a new reader that begins at the first byte."""

    def unsynced(self) -> int:
        """Return how many recorded bytes a power cut could take."""

    def sync(self) -> None:
        """Make everything recorded so far survive a power cut; does nothing for a closed ingest.

        Raises:
            StoreError: The disk reported a failure.
        """

    def suspect(self) -> None:
        """Count no byte as held any more, because the whole had another digest; followers are stopped.

        Raises:
            StoreError: The disk failed.
        """

    def commit(self) -> None:
        """Publish it as a blob, whose digest the caller has verified. The ingest is closed, and no longer exists.

        Raises:
            StoreError: Not every byte is held, or the disk failed; the ingest then stays open.
        """

    def discard(self) -> None:
        """Close and remove it."""

    def discard_unless_synced(self) -> bool:
        """Close and remove it if a power cut could take all of its bytes anyway; tell whether it was removed.

        It is not removed if `sync` was called, or if an earlier process left some of its bytes.
        """

    def close(self) -> None:
        """Close and keep it. Followers are stopped."""


class BlobFile(Protocol):
    """A blob that is open for reading by offset; any thread may read."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset` on.

        Raises:
            StoreCorruptError: It is shorter than that.
            StoreError: The disk failed.
        """

    def close(self) -> None:
        """Close it."""


class Spool(BlobFile, Protocol):
    """A file without a name: written once, from front to back, read by offset, and removed when it is closed."""

    def write(self, data: bytes) -> None:
        """Append `data`.

        Raises:
            StoreFullError: No space left.
            StoreError: The disk failed.
        """


class BlobStore(Protocol):
    """Committed blobs: immutable, whole, verified. Small ones (configs, manifests) enter by `put`."""

    def size(self, digest: Digest) -> int | None:
        """Return the length of the blob in bytes; None where it is absent."""

    def read(self, digest: Digest) -> bytes:
        """Return the whole blob, verified.

        Raises:
            NotFoundError: It is absent.
            StoreCorruptError: The stored bytes have another digest, or cannot be read.
        """

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        """Yield the blob piece by piece. It is verified at the end: only then are the pieces known to be right.

        Raises:
            NotFoundError: While iterating: it is absent.
            StoreCorruptError: While iterating: the stored bytes have another digest, or cannot be read.
        """

    def open(self, digest: Digest) -> BlobFile:
        """Open a blob for reading by offset, unverified: whoever uses the bytes compares the digest.

        Raises:
            NotFoundError: It is absent.
            StoreCorruptError: Something that is not a file lies in its place.
        """

    def put(self, digest: Digest, data: bytes) -> None:
        """Publish `data` durably; do nothing if the blob exists already.

        Raises:
            DigestMismatchError: `data` has another digest.
            StoreFullError: No space left.
        """

    def delete(self, digest: Digest) -> None:
        """Remove the blob, if it exists."""

    def walk(self) -> Iterator[Digest]:
        """Yield the digest of every committed blob, in no particular order."""


class IngestStore(Protocol):
    """Unfinished blobs."""

    def open(self, digest: Digest, size: int) -> Ingest:
        """Return the ingest for a blob, with what earlier attempts left in it.

        Raises:
            ConflictError: It is open already.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """

    def held(self, digest: Digest) -> int:
        """Return how many bytes an unfinished blob holds; 0 where there is none. Cheap: nothing is verified."""

    def walk(self) -> Iterator[tuple[Digest, int, float]]:
        """Yield digest, bytes held and time of the last write (seconds since the epoch) of each ingest."""

    def discard(self, digest: Digest) -> None:
        """Remove an ingest that is not open.

        Raises:
            ConflictError: It is open.
            StoreError: The disk failed.
        """
