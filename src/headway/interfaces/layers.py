"""Unpacked layers and chains of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from headway.oci.digest import ChainID, DiffID
from headway.records import ChainSize, LayerReport, TarParts, Tree


class LayerStore(Protocol):
    """Trees by diff ID, and chains: which trees, in which order, are a root file system.

    A tree is committed alone and in any order. A chain may need a tree of its own where a layer does not stand alone;
    `commit_chain` makes it. Nothing is visible before its commit, and a commit is durable when it returns. What is
    committed stays only as long as something needs it (`headway.interfaces.garbage`): a lease, until an image does.
    """

    def has_tree(self, diff_id: DiffID) -> bool:
        """Tell whether the layer is here, unpacked and committed."""

    def new_tree(self) -> AbstractContextManager[Path]:
        """Give an empty private directory to unpack into; it is removed at the end unless it was committed.

        So is a recipe that was put beside it (`records.recipe_beside`).
        """

    def keep_tree(self, diff_id: DiffID, path: Path, report: LayerReport) -> bool:
        """Make a private directory, which is whole, survive a kill of this process; tell whether that was possible.

        The next writer commits it. A power cut may take it; `commit_tree` follows.

        Raises:
            StoreError: The disk failed.
        """

    def commit_tree(self, diff_id: DiffID, path: Path, report: LayerReport) -> None:
        """Sync and publish a private directory as the tree of `diff_id`; the caller has verified the diff ID.

        A recipe beside it (`records.recipe_beside`) is published first, and goes when the tree goes. Where the tree is
        here already, the private one is dropped, and only its recipe taken where there was none.

        Raises:
            StoreFullError: No space left.
            StoreError: The disk failed.
        """

    def tar_parts(self, diff_id: DiffID) -> TarParts | None:
        """Return what gives a layer's tar back; None where the layer is not here, or was committed without a recipe."""

    def commit_chain(self, diff_ids: Sequence[DiffID]) -> ChainID | None:
        """Publish every prefix of `diff_ids` as a chain; return the last chain ID, None for no layers.

        The caller has leased the layers and the chain of every prefix: one of these may be here already.

        Raises:
            NotFoundError: A tree is missing.
            InvalidLayerError: A layer does not fit the ones below it.
            UnsupportedError: They are more than can be mounted.
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

    def sizes(self) -> Mapping[ChainID, ChainSize]:
        """Return every chain with the one below it and what its top layer adds, in one question."""
