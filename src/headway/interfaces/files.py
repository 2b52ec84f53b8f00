"""A layer's files: from a tar to a tree, from trees to a mount."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from threading import Lock
from typing import Protocol, runtime_checkable

from headway.oci.digest import DiffID
from headway.records import LayerReport


class TarSource(Protocol):
    """Gives a layer's blob bytes in order to whoever unpacks them."""

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, ``b""`` at the end."""


@runtime_checkable
class Patient(Protocol):
    """A `TarSource` whose reader holds something that others want, a place to unpack in, while it waits for memory."""

    def outwait(self, is_there: Callable[[float], bool]) -> None:
        """Return once `is_there` says so, which waits up to the seconds it is given; meanwhile others have the place.

        Raises:
            InterruptedError: The source was stopped.
        """


class Pieces:
    """A `TarSource` over pieces of any length, for adapters and services; one thread may close what another reads.

    Args:
        pieces: Taken as they are read.
    """

    def __init__(self, pieces: Iterable[bytes | memoryview]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")
        self._lock = Lock()

    def read(self, limit: int) -> bytes:
        """See `TarSource.read`; raises what making the pieces raises."""
        with self._lock:
            while not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    return b""
                self._rest = memoryview(piece)
            data = bytes(self._rest[:limit])
            self._rest = self._rest[limit:]
        return data

    def close(self) -> None:
        """Let the generator that makes the pieces, if one does, clean up; a piece that is being made is waited for."""
        with self._lock:
            if isinstance(self._pieces, Generator):
                self._pieces.close()


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
