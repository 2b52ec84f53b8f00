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
        """Return the next 1 to `limit` bytes, waiting until they are held; nothing at the end of the blob.

        Raises:
            InterruptedError: `stop` was called, or the ingest was closed or became suspect.
            StoreError: The disk failed.
        """

    def stop(self) -> None:
        """Wake the reader for good."""


class Ingest(Protocol):
    """One unfinished blob, keyed by what it will become. Leaving it without `commit` keeps the bytes for a resume.

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

        What this returned from survives the death of the process; what was synced survives a power cut.

        Raises:
            StoreFullError: No space left; what was recorded before stays, and what of `data` was still written.
            StoreError: `data` does not lie within the blob, the ingest is closed, or the disk failed.
        """

    def read_at(self, offset: int, length: int) -> bytes:
        """Return what is held from `offset` on; what is not held may be anything.

        Raises:
            StoreError: The disk failed, or the ingest is closed.
        """

    def follow(self) -> Follower:
        """Return a new reader from the first byte on."""

    def unsynced(self) -> int:
        """Return how many recorded bytes a power cut could take."""

    def sync(self) -> None:
        """Make everything recorded so far survive a power cut; of a closed one, nothing has to.

        Raises:
            StoreError: The disk reported a failure.
        """

    def suspect(self) -> None:
        """Count nothing as held any more, because the whole had another digest; followers are stopped.

        Raises:
            StoreError: The disk failed.
        """

    def commit(self) -> None:
        """Publish as a blob: the caller has verified the digest. The ingest is closed and gone.

        Raises:
            StoreError: Not every byte is held, or the disk failed; the ingest is still open then.
        """

    def discard(self) -> None:
        """Close and remove it."""

    def discard_unless_synced(self) -> bool:
        """Close and remove it where a power cut could take all of it anyway; tell whether that was so.

        It is not where `sync` was called, or where an earlier process left some of it.
        """

    def close(self) -> None:
        """Close and keep it. Followers are stopped."""


class BlobFile(Protocol):
    """A blob that is open for reading anywhere in it; any thread reads."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return so many bytes from `offset` on.

        Raises:
            StoreCorruptError: It is shorter than that.
            StoreError: The disk failed.
        """

    def close(self) -> None:
        """Close it."""


class Spool(BlobFile, Protocol):
    """A file without a name: written once from its first byte on, read anywhere, and gone when it is closed."""

    def write(self, data: bytes) -> None:
        """Append `data`.

        Raises:
            StoreFullError: No space left.
            StoreError: The disk failed.
        """


class BlobStore(Protocol):
    """Committed blobs: immutable, whole, verified. Small ones (configs, manifests) enter by `put`."""

    def size(self, digest: Digest) -> int | None:
        """Return the length of the blob in bytes, or None where it is not here."""

    def read(self, digest: Digest) -> bytes:
        """Return the whole blob, verified.

        Raises:
            NotFoundError: It is not here.
            StoreCorruptError: What lies there has another digest, or cannot be read.
        """

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        """Yield the blob piece by piece; that it was right is known when the last one was followed by no error.

        Raises:
            NotFoundError: While iterating: it is not here.
            StoreCorruptError: While iterating: what lies there has another digest, or cannot be read.
        """

    def open(self, digest: Digest) -> BlobFile:
        """Open a blob for reading anywhere; whoever gets its bytes compares the digest.

        Raises:
            NotFoundError: It is not here.
            StoreCorruptError: What lies there is no file.
        """

    def put(self, digest: Digest, data: bytes) -> None:
        """Publish `data` durably; nothing happens where it is here already.

        Raises:
            DigestMismatchError: `data` has another digest.
            StoreFullError: No space left.
        """

    def delete(self, digest: Digest) -> None:
        """Remove it, if it is here."""

    def walk(self) -> Iterator[Digest]:
        """Yield every committed digest, in no order."""


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
        """Remove one that is not open.

        Raises:
            ConflictError: It is open.
            StoreError: The disk failed.
        """
