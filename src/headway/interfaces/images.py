"""Records of images, of their names, and what makes several of them one commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from headway.distribution.connection_lives import Life
from headway.oci.digest import Digest, ImageID
from headway.oci.reference import Reference
from headway.records import ImageRecord


class ImageStore(Protocol):
    """Images by ID. They are forgotten with all that only they need: `interfaces.garbage.Garbage.forget_image`."""

    def get(self, image_id: ImageID) -> ImageRecord | None:
        """Return the record, or None."""

    def put(self, record: ImageRecord) -> None:
        """Record an image; its config is a blob and its chain is committed already. A known image is replaced.

        Raises:
            NotFoundError: Its parent is not here.
        """

    def add_blobs(self, image_id: ImageID, digests: Iterable[Digest]) -> None:
        """Let an image keep more blobs than its config and manifest: the indexes that led to it, layers' blobs.

        Raises:
            NotFoundError: No such image.
        """

    def blobs_of(self, image_id: ImageID) -> list[Digest]:
        """Return the blobs that an image keeps: its config, its manifest, what was added; sorted."""

    def set_last_tagged(self, image_id: ImageID, seconds: float) -> None:
        """Record when an image was tagged, seconds since the epoch; an unknown image is left alone."""

    def children(self, image_id: ImageID) -> list[ImageID]:
        """Return the images whose recorded parent is this one, sorted."""

    def parents(self) -> set[ImageID]:
        """Return the images that are somebody's parent."""

    def search(self, prefix: str) -> list[ImageID]:
        """Return the images whose hex starts with `prefix` (``sha256:`` is optional), two at most."""

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

    def within(self, repository: Reference) -> list[Reference]:
        """Return every name of a repository, sorted by its full spelling; the tag or digest given is ignored."""

    def list(self) -> list[tuple[Reference, ImageID]]:
        """Return all, sorted by full spelling."""


class HostMemory(Protocol):
    """Which registries have answered before: their absence is an outage, not a typo (docs/usage.md, "pull")."""

    def answered(self, host: str) -> None:
        """Remember that ``host[:port]`` answered."""

    def has_answered(self, host: str) -> bool:
        """Tell whether it ever did."""

    def addresses(self) -> Mapping[str, Sequence[str]]:
        """Return the addresses that took a connection, by host name without a port, the latest first."""

    def found(self, addresses: Mapping[str, Sequence[str]]) -> None:
        """Remember such addresses, instead of those of the same hosts that were known before."""

    def lives(self) -> Mapping[str, Life]:
        """Return how far connections carried uploads before they were cut, by ``host[:port]``."""

    def lived(self, lives: Mapping[str, Life]) -> None:
        """Remember such lives, instead of those of the same hosts that were known before."""


class Transaction(Protocol):
    """Several records at once: all of them, durably, or none."""

    def __call__(self) -> AbstractContextManager[None]:
        """Open it; what is recorded inside by this thread is one commit."""
