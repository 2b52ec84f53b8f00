"""Rebuilds the records of a data root that has lost both its database and its log, from the content it holds."""

from __future__ import annotations

from collections.abc import Callable, Generator

from headway.composition.unpacking import apply_apart
from headway.layers.recipes.rebuild import verified
from headway.layers.recipes.recipe import Recipe
from headway.records import TarParts
from headway.service.health.salvage import salvage
from headway.service.stores import Stores
from headway.store.data_root import DataRoot, names_in


def salvage_content(root: DataRoot, stores: Stores, tell: Callable[[str], None]) -> None:
    """Record the layers and images that are whole; set containers' files aside, as nobody knows whose they were.

    Raises:
        StoreError: The disk failed.
    """
    if names_in(root.rw):
        kept = root.rw.with_name(f"{root.rw.name}.damaged")
        root.rw.rename(kept)
        root.rw.mkdir(mode=0o700)
        tell(f"what containers had written is in {kept}")
    layers = [TarParts(root.trees / name, root.recipes / name) for name in sorted(names_in(root.recipes))]
    found = salvage(stores, layers, _tar, apply_apart)
    tell(f"{found.layers} layers and {found.images} images are here again; headway tag gives them names")


def _tar(parts: TarParts) -> Generator[bytes, None, None]:
    with Recipe(parts.recipe) as recipe:
        yield from verified(recipe, parts.tree)
