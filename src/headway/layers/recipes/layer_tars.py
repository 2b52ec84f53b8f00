"""Gives the exact tars of layers in a layer store, from their trees and recipes (`interfaces.archives.LayerTars`)."""

from __future__ import annotations

from collections.abc import Iterator

from headway.errors import NotFoundError
from headway.interfaces.layers import LayerStore
from headway.layers.recipes.rebuild import verified
from headway.layers.recipes.recipe import Recipe
from headway.oci.digest import DiffID


class StoredLayerTars:
    """Makes tars from what a layer store keeps.

    Args:
        layers: The store.
    """

    def __init__(self, layers: LayerStore) -> None:
        self._layers = layers

    def size(self, diff_id: DiffID) -> int | None:
        """Return the length of a layer's tar in bytes; None where there is no recipe for it."""
        parts = self._layers.tar_parts(diff_id)
        if parts is None:
            return None
        with Recipe(parts.recipe) as recipe:
            return recipe.tar_size

    def pieces(self, diff_id: DiffID) -> Iterator[bytes]:
        """Yield a layer's tar, and raise at the end unless it was right."""
        parts = self._layers.tar_parts(diff_id)
        if parts is None:
            raise NotFoundError("recipe", diff_id)
        with Recipe(parts.recipe) as recipe:
            yield from verified(recipe, parts.tree)
