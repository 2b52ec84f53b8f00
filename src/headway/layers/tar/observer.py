"""The calls to an observer while a tar is read and unpacked, from which `recipes.recorder` makes a recipe."""

from __future__ import annotations

import os
from typing import Protocol

from headway.layers.tar.entry import Entry

PLAIN, EXTENSION, OTHER = range(3)
"""What begins at a mark: content that the header block before says all about; an extension header's own content, which
is no file's; or content whose size or path stands elsewhere, or that does not lie behind its header.

The first two are numbered as `recipes.format.Op` has them: a recorder writes them as they are."""

Mark = tuple[int, int, int]
"""Where a header or, if there is any, the content behind it ends and begins: offset in the piece, bytes of the content,
what it is."""


class Observer(Protocol):
    """Sees the whole archive go by in order, and what becomes of it, so that it can be given back later.

    It is told little while entries are read, for that would cost more than reading them: the reader leaves a mark
    for each, and the observer looks at a whole piece when it was used.

    Attributes:
        marks: The reader appends to it; the observer empties it with each piece.
    """

    marks: list[Mark]

    def piece(self, piece: bytes) -> None:
        """Take a piece of the archive that was used; every mark in it is there."""

    def other(self, entry: Entry) -> None:
        """Take note that the last mark is that of this entry, and `OTHER`."""

    def elsewhere(self, path: bytes) -> None:
        """Take note that the content at the last mark goes to this path, which has no symlink on the way."""

    def nowhere(self) -> None:
        """Take note that the content at the last mark is not put into the tree."""

    def sparse(self, descriptor: int) -> None:
        """Take note of the file that the last mark's content becomes a part of."""

    def removing(self, parent: int, path: bytes, status: os.stat_result) -> None:
        """Look at what is about to be removed from the directory `parent`; no symlink is on the way to `path`."""
