"""Records of images and of their names, the memory of registries, and transactions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from headway.distribution.connection_lives import Life
from headway.oci.digest import Digest, ImageID
from headway.oci.reference import Reference
from headway.records import ImageRecord


class ImageStore(Protocol):
    """Records of images, by ID. `interfaces.garbage.Garbage.forget_image` deletes one, with all that only it needs."""

    def get(self, image_id: ImageID) -> ImageRecord | None:
        """Return the record of an image; None where there is none."""

    def put(self, record: ImageRecord) -> None:
        """Record an image, whose config and chain are committed already; replace an earlier record of it.

        Raises:
            NotFoundError: Its parent is not recorded.
        """

    def add_blobs(self, image_id: ImageID, digests: Iterable[Digest]) -> None:
        """Make an image keep more blobs besides its config and manifest: the indexes that led to it, layers' blobs.

        Raises:
            NotFoundError: No such image.
        """

    def blobs_of(self, image_id: ImageID) -> list[Digest]:
        """Return the blobs that an image keeps, sorted: its config, its manifest, and those of `add_blobs`."""

    def set_last_tagged(self, image_id: ImageID, seconds: float) -> None:
        """Record when an image was tagged, seconds since the epoch; do nothing for an unknown image."""

    def children(self, image_id: ImageID) -> list[ImageID]:
        """Return the images whose recorded parent is this one, sorted."""

    def parents(self) -> set[ImageID]:
        """Return the images that are the parent of another one."""

    def search(self, prefix: str) -> list[ImageID]:
        """Return at most two images whose hex starts with `prefix`; ``sha256:`` in front of it is optional."""

    def list(self) -> list[ImageRecord]:
        """Return every record, newest image first."""

    def count(self) -> int:
        """Return how many images are recorded."""


class ReferenceStore(Protocol):
    """Names of images: tags, which move, and digest references, which do not (moby-behaviour 5.2)."""

    def get(self, reference: Reference) -> ImageID | None:
        """Return the image that a name stands for; where the reference has tag and digest, the digest decides."""

    def put_tag(self, reference: Reference, image_id: ImageID) -> ImageID | None:
        """Let a tag stand for an image; return the image it stood for before, None where it is new or unchanged.

        A reference without a tag means ``latest``.

        Raises:
            InvalidReferenceError: It has a digest, or could be taken for one.
            NotFoundError: No such image.
        """

    def put_digest(self, reference: Reference, image_id: ImageID) -> None:
        """Let a digest reference stand for an image; a tag in it is ignored.

        Raises:
            InvalidReferenceError: It has no digest.
            ConflictError: It already stands for another image.
            NotFoundError: No such image.
        """

    def delete(self, reference: Reference) -> bool:
        """Forget the name; tell whether it was there."""

    def of(self, image_id: ImageID) -> list[Reference]:
        """Return every name of an image, sorted by its full spelling."""

    def within(self, repository: Reference) -> list[Reference]:
        """Return every name of a repository, sorted by its full spelling; the tag or digest given is ignored."""

    def list(self) -> list[tuple[Reference, ImageID]]:
        """Return every name with its image, sorted by full spelling."""


class HostMemory(Protocol):
    """What is remembered of registries from one process to the next.

    A registry that has answered before and does not now is an outage, not a typo (docs/usage.md, "pull").
    """

    def answered(self, host: str) -> None:
        """Remember that ``host[:port]`` has answered."""

    def has_answered(self, host: str) -> bool:
        """Tell whether ``host[:port]`` has ever answered."""

    def addresses(self) -> Mapping[str, Sequence[str]]:
        """Return the addresses that accepted a connection, latest first, by host name without a port."""

    def found(self, addresses: Mapping[str, Sequence[str]]) -> None:
        """Remember addresses, in place of earlier ones of the same hosts."""

    def lives(self) -> Mapping[str, Life]:
        """Return how much of an upload connections carried before they were cut, by ``host[:port]``."""

    def lived(self, lives: Mapping[str, Life]) -> None:
        """Remember lives, in place of earlier ones of the same hosts."""


class Transaction(Protocol):
    """Makes several changes of records atomic: all of them become durable, or none."""

    def __call__(self) -> AbstractContextManager[None]:
        """Return a context manager; the changes that this thread makes in its block are one commit."""
