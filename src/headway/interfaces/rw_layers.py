"""Containers' read-write layers, and mounts that outlive their process."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from headway.container_records import Change, KeptMount, RwLayerRecord
from headway.oci.digest import ChainID, ImageID


class RwLayer(Protocol):
    """One read-write layer.

    Mounts are counted. Those of this process end with `RwLayerStore.cleanup`, or at the next start after a crash;
    those with a record in `MountTable` stay until `headway umount` or the next boot.

    Attributes:
        record: What is recorded of it.
    """

    record: RwLayerRecord

    def mount(self) -> Path:
        """Mount it, or count one more user where it is mounted; return where.

        Raises:
            NotFoundError: It, or its chain, is gone.
            ConflictError: It is being removed.
            UnsupportedError: This driver, kernel or user cannot.
            StoreError: The disk failed, or the kernel refused.
        """

    def unmount(self) -> None:
        """Take back one `mount` of this process; the last one really unmounts, unless a `KeptMount` needs it.

        Raises:
            ConflictError: ``not mounted``; or something in it is in use, and it stays mounted and counted.
            StoreError: The kernel refused.
        """

    def changes(self, *, written: bool = False) -> list[Change]:
        """Return how it differs from its init layer (from its image without one), sorted by path.

        Args:
            written: As for `RwDriver.changes`.

        Raises:
            ConflictError: It is being removed.
            NotFoundError: ``mount does not exist``.
            StoreError: The disk failed.
        """

    def size(self) -> int:
        """Return its size as Docker counts it, in bytes (moby-behaviour 4.7)."""

    def metadata(self) -> dict[str, str]:
        """Return ``GraphDriver.Data``: ``LowerDir``, ``MergedDir``, ``UpperDir``, ``WorkDir``; empty for vfs."""


class RwDraft(Protocol):
    """A read-write layer that nobody can see yet."""

    def publish(self, name: str) -> RwLayer:
        """Make it the layer `name`; inside a `Transaction` it is there when that is.

        Raises:
            ConflictError: ``mount already exists with name``.
            NotFoundError: Its chain was removed meanwhile.
            StoreError: The disk failed.
        """


class RwLayerStore(Protocol):
    """Read-write layers by name, which is their container's ID.

    A layer holds its chain (view ``chain_users``), whatever becomes of the image. It is published last and complete;
    a crash leaves nothing that the next start does not remove.
    """

    def prepare(
        self,
        chain_id: ChainID | None,
        *,
        init: bool = True,
        storage_opt: Mapping[str, str] | None = None,
        mount_label: str = "",
    ) -> AbstractContextManager[RwDraft]:
        """Make a layer above a chain (None for no layers), to be published before the context ends.

        Where it is not, or its publishing is undone with the `Transaction` around it, nothing of it stays.

        Args:
            chain_id: What is below it.
            init: Whether an init layer with the places that a runtime mounts over goes between (moby-behaviour 4.4).
            storage_opt: Docker's ``--storage-opt``.
            mount_label: Recorded only.

        Raises:
            NotFoundError: No such chain.
            UnsupportedError: A storage option that is unknown or not possible here, in Moby's words.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """

    def get(self, name: str) -> RwLayer:
        """Return a layer.

        Raises:
            NotFoundError: ``mount does not exist``.
        """

    def list(self) -> list[RwLayerRecord]:
        """Return all, by name."""

    def release(self, name: str) -> None:
        """Remove a layer with everything in it, and let its chain go. Where that fails it can be tried again.

        Raises:
            NotFoundError: ``mount does not exist``.
            ConflictError: ``mount still active``.
            StoreError: The disk failed; the layer cannot be used any more, and is still there to be released.
        """

    def cleanup(self) -> None:
        """Unmount what this process has mounted and not unmounted; nothing else. Called at shutdown.

        Raises:
            ConflictError: Something is in use; the others are unmounted all the same.
            StoreError: The kernel refused; the others are unmounted all the same.
        """


class MountTable(Protocol):
    """Mounts that outlive the command that made them. They hold their chain and their read-write layer.

    A record is made before its mount and removed after it: what has no record nobody was told of.
    """

    def put(self, mount: KeptMount) -> None:
        """Record a mount; one with the same target is replaced."""

    def get(self, target: Path) -> KeptMount | None:
        """Return what is recorded for a target."""

    def delete(self, target: Path) -> None:
        """Forget it."""

    def of_image(self, image_id: ImageID) -> list[KeptMount]:
        """Return those of one image, by target."""

    def list(self) -> list[KeptMount]:
        """Return all, by target."""


class MountPoints(Protocol):
    """Directories to mount at, and what the kernel knows of them.

    Attributes:
        directory: Where images are mounted for whom no other place is named.
    """

    directory: Path

    def here(self) -> str:
        """Return a name for this boot and this mount namespace (`container_records.KeptMount.place`)."""

    def process_elsewhere(self, place: str) -> int:
        """Return a process in another mount namespace of this boot, as `here` named it; 0 where nobody is in it."""

    def real(self, path: Path) -> Path:
        """Return what a path leads to, as the kernel names it.

        Raises:
            UnsupportedError: Its name is no text.
        """

    def prepared(self, target: Path) -> AbstractContextManager[None]:
        """Make sure that `target` is an empty directory; one that was made here goes where the context ends badly.

        Raises:
            ConflictError: It is not empty.
            StoreError: It cannot be made.
        """

    def drop(self, target: Path) -> None:
        """Remove an empty directory that `prepared` has made; nothing happens where it is gone.

        Raises:
            StoreError: It is not empty.
        """

    def bind(self, source: Path, target: Path) -> None:
        """Show what is mounted at `source` at `target`, too.

        Raises:
            StoreError: The kernel refused.
        """
