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
        recipe: The recipe to compare its files with; None where there is none, and for a derived tree.
        size: Sum of the lengths of its files and symlinks, hard links once, in bytes; None for a derived tree.
        in_chain: Whether it belongs to a chain, which images and containers may use; otherwise a stopped pull left it.
        members: How many names it has, not counting directories; 0 where that is not recorded.
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
        names: Its tags and digest references, in full spelling, sorted.
        manifest: Its platform's manifest; None where it came without one.
        platform: ``os/arch[/variant]``.
        blobs: Its config, manifest and indexes.
        diff_ids: Its layers, bottom first.
        chain_ids: Their chains, bottom first.
        is_lost: Whether its record has been deleted because it was damaged.
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
    """Everything that is recorded. Nothing is locked, so an answer may be out of date when it is used."""

    def trees(self) -> Sequence[StoredTree]:
        """Return every tree."""

    def has(self, tree: StoredTree) -> bool:
        """Tell whether a tree is still recorded."""

    def images(self) -> Sequence[StoredImage]:
        """Return every image, and every lost image that has not been pulled again."""

    def lost_containers(self) -> Sequence[str]:
        """Return the names of containers whose written files are missing on disk."""

    def faults(self) -> Iterator[str]:
        """Yield faults of the records themselves, a sentence each.

        Raises:
            StoreCorruptError: The records cannot be read.
        """


class Examine(Protocol):
    """Compares a tree with its record and its recipe."""

    def __call__(self, tree: StoredTree, *, full: bool) -> Iterator[str]:
        """Yield the faults of a tree, one for each file or property; none for an intact tree.

        Args:
            tree: The tree.
            full: Whether to read every byte; otherwise only names, kinds and sizes are compared.

        Raises:
            StoreError: The disk failed.
        """


class Mending(Protocol):
    """Repairs of a store with damaged trees."""

    def derive_again(self) -> Sequence[ChainID]:
        """Derive again every derived tree that is damaged, or that is made from a repaired layer; return the chains.

        Raises:
            InvalidLayerError: A layer does not fit the ones below it.
            StoreError: The disk failed.
        """

    def forget_layer_blob(self, digest: Digest) -> None:
        """Delete the records by which images keep a layer's blob beside its tree.

        Raises:
            StoreError: The disk failed.
        """

    def forget_stray(self, diff_id: DiffID) -> None:
        """Delete the record of a damaged layer that belongs to no chain; a pull that needs it fetches it again.

        Raises:
            StoreError: The disk failed.
        """
