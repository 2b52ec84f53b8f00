"""A layer's files: from a tar to a tree, from trees to a mount."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from headway.oci.digest import DiffID
from headway.records import LayerReport


class TarSource(Protocol):
    """Gives a layer's blob bytes in order to whoever unpacks them."""

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, nothing at the end."""


class Applier(Protocol):
    """Unpacks one layer."""

    def __call__(
        self, source: TarSource, directory: Path, progress: Callable[[int], None]
    ) -> tuple[DiffID, LayerReport]:
        """Decompress `source`, write its entries below `directory`, and return the diff ID with what was found.

        `progress` is told the compressed bytes consumed so far. Nothing outside `directory` is touched, whatever the
        tar says, but for the layer's recipe, which is put beside it (`records.recipe_beside`). The whole source is
        consumed, behind the end marker too: the diff ID covers it.

        Raises:
            InvalidLayerError: Broken or hostile; the directory's content is then worthless.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """
