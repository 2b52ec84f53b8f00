"""The places where Headway's parts meet, each with its lifecycle in prose.

Rule 1: `service` talks to the network and the disk only through these; `composition` joins them.
Rule 2: everything here blocks and may be called from any thread. The service enters through its lanes
        (service/lanes.py), so that the event loop never waits; a command that needs no loop calls directly.
Rule 3: adapters never retry. Whether to try again is decided in `distribution`.
Rule 4: bytes that were written survive every way of leaving: an error, a cancel, a kill, a power cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from headway.distribution.endpoints import Endpoint
from headway.distribution.ranges import Ranges
from headway.oci.descriptor import Descriptor
from headway.oci.digest import ChainID, DiffID, Digest, ImageID
from headway.oci.reference import Reference
from headway.records import ImageRecord, LayerReport, RawManifest, TarParts, Tree

# --- registries ------------------------------------------------------------------------------------------------


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


# --- content on disk -------------------------------------------------------------------------------------------


class Follower(Protocol):
    """Reads an ingest from its first byte while it grows. One thread reads; any thread stops it."""

    def ready(self) -> bool:
        """Tell whether `read` would return without waiting."""

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, waiting until they are held; nothing at the end of the blob.

        Raises:
            InterruptedError: `stop` was called.
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
            StoreFullError: No space left; what was recorded before stays.
            StoreError: Any other failure of the disk.
        """

    def follow(self) -> Follower:
        """Return a new reader from the first byte on."""

    def unsynced(self) -> int:
        """Return how many recorded bytes a power cut could take."""

    def sync(self) -> None:
        """Make everything recorded so far survive a power cut.

        Raises:
            StoreError: The disk reported a failure.
        """

    def suspect(self) -> None:
        """Count nothing as held any more, because the whole had another digest; followers are stopped."""

    def commit(self) -> None:
        """Publish as a blob: the caller has verified the digest. The ingest is closed and gone.

        Raises:
            StoreError: Not every byte is held, or the disk failed.
        """

    def discard(self) -> None:
        """Close and remove it."""

    def close(self) -> None:
        """Close and keep it. Followers are stopped."""


class BlobStore(Protocol):
    """Committed blobs: immutable, whole, verified. Small ones (configs, manifests) enter by `put`."""

    def size(self, digest: Digest) -> int | None:
        """Return the length of the blob in bytes, or None where it is not here."""

    def read(self, digest: Digest) -> bytes:
        """Return the whole blob, verified.

        Raises:
            NotFoundError: It is not here.
            StoreCorruptError: What lies there has another digest.
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
            StoreError: The disk failed.
        """

    def held(self, digest: Digest) -> int:
        """Return how many bytes an unfinished blob holds; 0 where there is none. Cheap: nothing is verified."""

    def walk(self) -> Iterator[tuple[Digest, int, float]]:
        """Yield digest, bytes held and time of the last write (seconds since the epoch) of each ingest."""

    def discard(self, digest: Digest) -> None:
        """Remove one that is not open."""


# --- layers ----------------------------------------------------------------------------------------------------


class LayerStore(Protocol):
    """Trees by diff ID, and chains: which trees, in which order, are a root file system.

    A tree is committed alone and in any order. A chain may need a tree of its own where a layer does not stand alone;
    `commit_chain` makes it. Nothing is visible before its commit, and a commit is durable when it returns.
    """

    def has_tree(self, diff_id: DiffID) -> bool:
        """Tell whether the layer is here, unpacked and committed."""

    def new_tree(self) -> AbstractContextManager[Path]:
        """Give an empty private directory to unpack into; it is removed at the end unless it was committed.

        So is a recipe that was put beside it (`records.recipe_beside`).
        """

    def commit_tree(self, diff_id: DiffID, path: Path, report: LayerReport) -> None:
        """Sync and publish a private directory as the tree of `diff_id`; the caller has verified the diff ID.

        A recipe beside it (`records.recipe_beside`) is published first, and goes when the tree goes. Where the tree is
        here already, the private one is dropped.

        Raises:
            StoreFullError: No space left.
            StoreError: The disk failed.
        """

    def tar_parts(self, diff_id: DiffID) -> TarParts | None:
        """Return what gives a layer's tar back; None where the layer is not here, or was committed without a recipe."""

    def commit_chain(self, diff_ids: Sequence[DiffID]) -> ChainID | None:
        """Publish every prefix of `diff_ids` as a chain; return the last chain ID, None for no layers.

        Raises:
            NotFoundError: A tree is missing.
            InvalidLayerError: A layer does not fit the ones below it.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """

    def has_chain(self, chain_id: ChainID) -> bool:
        """Tell whether a chain is here."""

    def trees(self, chain_id: ChainID | None) -> list[Tree]:
        """Return the trees of a chain, bottom layer first; none for None.

        Raises:
            NotFoundError: No such chain.
        """

    def remember_blob(self, diff_id: DiffID, digest: Digest, repository: str) -> None:
        """Record that a blob holds a layer: both digests were computed over the same received bytes."""

    def diff_id_of(self, digest: Digest) -> DiffID | None:
        """Return the diff ID of the layer that a blob holds, if `remember_blob` said so."""

    def collect(self, keep: Iterable[ChainID]) -> int:
        """Remove every chain and tree that no chain in `keep` needs; return the bytes freed (``disk_bytes``).

        Not inside a `Transaction`: what was removed cannot be rolled back.
        """


# --- images ----------------------------------------------------------------------------------------------------


class ImageStore(Protocol):
    """Images by ID."""

    def get(self, image_id: ImageID) -> ImageRecord | None:
        """Return the record, or None."""

    def put(self, record: ImageRecord) -> None:
        """Record an image; its config is a blob and its chain is committed already. A known image is replaced."""

    def search(self, prefix: str) -> list[ImageID]:
        """Return the images whose hex starts with `prefix` (``sha256:`` is optional), two at most."""

    def delete(self, image_id: ImageID) -> None:
        """Forget it.

        Raises:
            ConflictError: A reference still stands for it.
        """

    def list(self) -> list[ImageRecord]:
        """Return all, newest first."""

    def count(self) -> int:
        """Return how many there are."""


class ReferenceStore(Protocol):
    """Names of images: tags, which move, and digest references, which do not (moby-behaviour 5.2)."""

    def get(self, reference: Reference) -> ImageID | None:
        """Return what the name stands for; the digest wins where a reference has both."""

    def put_tag(self, reference: Reference, image_id: ImageID) -> ImageID | None:
        """Let a tag stand for an image; return what it stood for before, None where it is new or the same.

        No tag means ``latest``.

        Raises:
            InvalidReferenceError: It has a digest, or could be taken for one.
            NotFoundError: No such image.
        """

    def put_digest(self, reference: Reference, image_id: ImageID) -> None:
        """Let a digest reference stand for an image; its tag does not count.

        Raises:
            InvalidReferenceError: It has no digest.
            ConflictError: It stands for another image.
            NotFoundError: No such image.
        """

    def delete(self, reference: Reference) -> bool:
        """Forget the name; tell whether it was there."""

    def of(self, image_id: ImageID) -> list[Reference]:
        """Return every name of an image, sorted by its full spelling."""

    def list(self) -> list[tuple[Reference, ImageID]]:
        """Return all, sorted by full spelling."""


class HostMemory(Protocol):
    """Which registries have answered before: their absence is an outage, not a typo (interface.md, "What waits")."""

    def answered(self, host: str) -> None:
        """Remember that ``host[:port]`` answered."""

    def has_answered(self, host: str) -> bool:
        """Tell whether it ever did."""


class Transaction(Protocol):
    """Several records at once: all of them, durably, or none."""

    def __call__(self) -> AbstractContextManager[None]:
        """Open it; what is recorded inside by this thread is one commit."""


# --- layers' files ---------------------------------------------------------------------------------------------


class TarSource(Protocol):
    """Gives a layer's blob bytes in order to whoever unpacks them."""

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, nothing at the end."""


class Applier(Protocol):
    """Unpacks one layer."""

    def __call__(
        self, source: TarSource, directory: Path, progress: Callable[[int], None]
    ) -> tuple[DiffID, LayerReport]:
        """Decompress `source`, write its entries below `directory`, and return the diff ID with what was found.

        `progress` is told the compressed bytes consumed so far. Nothing outside `directory` is touched, whatever the
        tar says, but for the layer's recipe, which is put beside it (`records.recipe_beside`). The whole source is
        consumed, behind the end marker too: the diff ID covers it.

        Raises:
            InvalidLayerError: Broken or hostile; the directory's content is then worthless.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """


class Driver(Protocol):
    """How trees become one mounted root file system."""

    name: str

    def mount(
        self, trees: Sequence[Tree], target: Path, *, upper: Path | None = None, work: Path | None = None
    ) -> None:
        """Mount `trees` (bottom first) at `target`, read-only unless `upper` and `work` are given.

        Raises:
            UnsupportedError: This driver, kernel or user cannot.
            StoreError: The kernel refused.
        """

    def unmount(self, target: Path) -> None:
        """Undo `mount`; nothing happens where nothing is mounted."""
