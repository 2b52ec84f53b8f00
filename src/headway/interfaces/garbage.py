"""Garbage collection: leases, which keep content, and the removal of content that nothing needs."""

from __future__ import annotations

from collections.abc import Container, Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from headway.oci.digest import ChainID, Digest, ImageID
from headway.records import Freed


class Lease(Protocol):
    """A promise that content stays, whoever deletes and prunes meanwhile."""

    def add(self, contents: Iterable[Digest]) -> None:
        """Keep blobs (whole or not), diff IDs and chain IDs from now on, though they may not be here yet.

        Ask whether something is here only after this: an answer from before may be out of date.

        Raises:
            StoreError: The disk failed.
        """

    def drop(self) -> None:
        """End the promise, in the transaction that records what needs the content from then on.

        Idle leases for the same purpose end with it: what they wanted has been overtaken.

        Raises:
            StoreError: The disk failed.
        """


class Leases(Protocol):
    """Leases outlive their holders: what a stopped or killed pull has brought is there when it goes on."""

    @property
    def held(self) -> Container[str]:
        """The leases that somebody holds now, for who looks at the same records another way; any thread may ask."""

    def hold(self, purpose: str, subject: Digest) -> AbstractContextManager[Lease]:
        """Give a lease; whoever holds the same one later finds what was added.

        Args:
            purpose: What for, such as ``pull docker.io/library/alpine:3.20``.
            subject: What exactly, such as the manifest that the name stands for today.
        """

    def subject(self, purpose: str) -> Digest | None:
        """Return what the lease is about that was used last for a purpose; None where there is none.

        Raises:
            StoreError: The disk failed.
        """

    def idle(self) -> list[str]:
        """Return the leases that nobody holds, sorted."""


class Garbage(Protocol):
    """What nothing needs any more. Needed is what an image, a chain above, a read-write layer or a lease names.

    Two steps: records go first, in a transaction, and then files, outside of it. A crash between the two leaves files
    that the next start removes.
    """

    def make_room(self) -> None:
        """Let it be recorded, on a disk that is full, that something goes; the methods below see to that themselves."""

    def forget_image(self, image_id: ImageID) -> Freed:
        """Forget an image and the records of what only it needed; idle leases for the same image end.

        Its children have no parent then. Its cost follows from the image alone, not from what else is here.

        Raises:
            ConflictError: A name still stands for it.
            StoreError: The disk failed.
        """

    def release(self, chain_id: ChainID | None) -> Freed:
        """Forget a chain and what only it needed, unless something needs it: what a read-write layer leaves behind.

        Raises:
            StoreError: The disk failed.
        """

    def forget_unneeded(self, *, unfinished: bool = False) -> Freed:
        """Forget everything that nothing needs, and find the files that have no record.

        Args:
            unfinished: End idle leases first, and take unfinished downloads that no lease names along.

        Raises:
            StoreError: The disk failed.
        """

    def sweep(self, freed: Freed) -> None:
        """Remove the files of what was forgotten, but for what has come back since.

        Raises:
            OutOfOrderError: Called inside a transaction: what is removed cannot be rolled back.
            StoreError: Something does not go; everything else is gone.
        """
