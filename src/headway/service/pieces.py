"""A tar that is made in pieces, for whoever reads it."""

from __future__ import annotations

from collections.abc import Generator


class Pieces:
    """`interfaces.files.TarSource` over a generator.

    Args:
        pieces: Of any length; taken as they are read.
    """

    def __init__(self, pieces: Generator[bytes, None, None]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, nothing at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        data = bytes(self._rest[:limit])
        self._rest = self._rest[limit:]
        return data

    def close(self) -> None:
        """Let the generator clean up."""
        self._pieces.close()
