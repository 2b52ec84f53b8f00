"""What a store should hold according to its records, which `headway check` compares with the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from headway.oci.digest import ChainID, DiffID, Digest, ImageID


class StoredTree(msgspec.Struct, frozen=True, kw_only=True):
    """A tree that is recorded.

    Attributes:
        diff_id: Its layer.
        chain_id: The chain that it was derived for; None for the layer's own tree.
        path: Its directory.
        recipe: What its files are held against; None where none was recorded, or it was derived.
        size: Lengths of its files and symlinks, hard links once, in bytes; None for a derived tree.
        in_chain: Whether an image or a container stands on it, or may; else a pull that has stopped has left it.
        members: Names of everything in it but directories; 0 where no record tells.
    """

    diff_id: DiffID
    chain_id: ChainID | None
    path: Path
    recipe: Path | None
    size: int | None
    in_chain: bool = True
    members: int = 0


class StoredImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is recorded, or was until a start found it damaged.

    Attributes:
        image_id: Its ID.
        names: What stands for it, in full spelling, sorted.
        manifest: Its platform's manifest; None where it came without.
        platform: ``os/arch[/variant]``.
        blobs: Config, manifest and indexes.
        diff_ids: Its layers, bottom first.
        chain_ids: Their chains, bottom first.
        is_lost: Whether it is recorded no more.
    """

    image_id: ImageID
    names: tuple[str, ...]
    manifest: Digest | None
    platform: str
    blobs: tuple[Digest, ...]
    diff_ids: tuple[DiffID, ...] = ()
    chain_ids: tuple[ChainID, ...] = ()
    is_lost: bool = False


class Inventory(Protocol):
    """Everything that is recorded. Nothing is locked: what is said may be out of date when it is used."""

    def trees(self) -> Sequence[StoredTree]:
        """Return every tree."""

    def has(self, tree: StoredTree) -> bool:
        """Tell whether a tree is recorded still."""

    def images(self) -> Sequence[StoredImage]:
        """Return every image, and every image that was lost and did not come back."""

    def lost_containers(self) -> Sequence[str]:
        """Return the names of containers of which what was written is not on disk."""

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the records themselves.

        Raises:
            StoreCorruptError: They cannot be read.
        """


class Examine(Protocol):
    """Compares a tree with what is known of it."""

    def __call__(self, tree: StoredTree, *, full: bool) -> Iterator[str]:
        """Yield what is wrong, a file or a fact each; nothing where all is as it was.

        Args:
            tree: What to look at.
            full: Whether every byte is read; else names, kinds and sizes are looked at.

        Raises:
            StoreError: The disk failed.
        """


class Mending(Protocol):
    """What a store with damaged trees does to get right again."""

    def derive_again(self) -> Sequence[ChainID]:
        """Derive again every tree that is damaged, or that a mended layer went into; return their chains.

        Raises:
            InvalidLayerError: A layer does not fit the ones below it.
            StoreError: The disk failed.
        """

    def forget_layer_blob(self, digest: Digest) -> None:
        """Forget that images have kept a layer's blob beside its tree.

        Raises:
            StoreError: The disk failed.
        """

    def forget_stray(self, diff_id: DiffID) -> None:
        """Forget a damaged layer on which nothing stands; the pull that wants it fetches it again.

        Raises:
            StoreError: The disk failed.
        """
