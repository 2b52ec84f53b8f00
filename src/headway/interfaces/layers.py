"""Unpacked layers, and chains of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from headway.oci.digest import ChainID, DiffID
from headway.records import ChainSize, LayerReport, TarParts, Tree


class LayerStore(Protocol):
    """Trees by diff ID, and chains: lists of trees that together are a root file system.

    Trees are committed one by one, in any order. If a layer does not stand alone, a chain needs a derived tree of its
    own, which `commit_chain` makes. Nothing is visible before its commit, and a commit is durable when it returns.
    Committed content is kept only while something needs it (`headway.interfaces.garbage`): at first a lease, then an
    image.
    """

    def has_tree(self, diff_id: DiffID) -> bool:
        """Tell whether a layer is unpacked and committed."""

    def new_tree(self) -> AbstractContextManager[Path]:
        """Give an empty private directory to unpack into; at the block's end it is removed unless it was committed.

        The same holds for a recipe beside it (`records.recipe_beside`).
        """

    def keep_tree(self, diff_id: DiffID, path: Path, report: LayerReport) -> bool:
        """Make a complete private directory survive a kill of this process; tell whether that was possible.

        After a kill the next writer commits it, but a power cut may take it; so `commit_tree` has to follow.

        Raises:
            StoreError: The disk failed.
        """

    def commit_tree(self, diff_id: DiffID, path: Path, report: LayerReport) -> None:
        """Sync and publish a private directory as the tree of `diff_id`; the caller has verified the diff ID.

        A recipe beside it (`records.recipe_beside`) is published first, and removed together with the tree. If the tree
        exists already, the private one is dropped; only its recipe is taken, if there was none.

        Raises:
            StoreFullError: No space left.
            StoreError: The disk failed.
        """

    def tar_parts(self, diff_id: DiffID) -> TarParts | None:
        """Return the tree and the recipe of a layer; None if the layer is absent, or was committed without a recipe."""

    def commit_chain(self, diff_ids: Sequence[DiffID]) -> ChainID | None:
        """Publish every prefix of `diff_ids` as a chain; return the last chain ID, None for no layers.

        The caller has leased the layers, and the chain of every prefix, some of which may exist already.

        Raises:
            NotFoundError: A tree is missing.
            InvalidLayerError: A layer does not fit the ones below it.
            UnsupportedError: There are more layers than can be mounted.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """

    def has_chain(self, chain_id: ChainID) -> bool:
        """Tell whether a chain is committed."""

    def trees(self, chain_id: ChainID | None) -> list[Tree]:
        """Return the trees of a chain, bottom layer first; none for None.

        Raises:
            NotFoundError: No such chain.
        """

    def sizes(self) -> Mapping[ChainID, ChainSize]:
        """Return for every chain the chain below it, and the size that its top layer adds."""
