"""Hands the small files of a layer to a worker process (layers/unpacking/worker.py), while the layer's thread reads on.

Rule 1: only files that need no more than a mode and a time go there, and only under names that nothing in the layer had
        before: what replaces something is done by the layer's own thread, and all else is.
Rule 2: a path that was handed over may be there or not until the worker has answered: who is about to touch it settles
        first. So the tree is what it would be had one thread made it, in the tar's order.
Rule 3: what the worker could not make comes back, and the thread makes it: each failure is met, and told, in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol, TypeAlias

from headway.layers.tar.entry import Entry
from headway.layers.trees.footprint import Footprint

LARGEST = 1 << 16
"""Bytes of the largest file that is handed over: with larger ones the copy costs more than the call is worth."""


class Undone(NamedTuple):
    """A file that was handed over and came back."""

    entry: Entry
    path: bytes
    content: bytes


class Handoff(Protocol):
    """Takes files of one layer.

    Attributes:
        paths: Of files that were taken and are not known to be there.
        undone: Files that came back; `settle` gives them.
    """

    paths: set[bytes]
    undone: list[Undone]

    def note(self, path: bytes) -> bool:
        """Take note that something has a path; tell whether surely nothing in this layer had it before."""

    def take(self, entry: Entry, parent: int, path: bytes, body: Iterable[memoryview]) -> bool:
        """Take a plain file of at most `LARGEST` bytes, if there is room; `body` is read only then.

        Args:
            entry: The file.
            parent: Its directory, open.
            path: Its path in the layer, without a symlink on the way; it is new.
            body: Its content.
        """

    def settle(self) -> Iterator[Undone]:
        """Wait until all that was taken is there, but for what is yielded: that is the caller's to make.

        Raises:
            StoreError: The worker has ended.
        """

    def close(self) -> None:
        """Wait until nothing is written any more, whatever came of it."""


class Alone:
    """A `Handoff` that takes nothing: there is no worker."""

    def __init__(self) -> None:
        self.paths: set[bytes] = set()
        self.undone: list[Undone] = []

    def note(self, path: bytes) -> bool:
        """See `Handoff`."""
        del path
        return False

    def take(self, entry: Entry, parent: int, path: bytes, body: Iterable[memoryview]) -> bool:
        """See `Handoff`."""
        del entry, parent, path, body
        return False

    def settle(self) -> Iterator[Undone]:
        """See `Handoff`."""
        return iter(())

    def close(self) -> None:
        """See `Handoff`."""


HandoffMaker: TypeAlias = Callable[[Footprint], Handoff]
"""Makes what takes a layer's files; it counts in the footprint what was made of them."""


def alone(footprint: Footprint) -> Handoff:
    """Return what takes nothing; this is a `HandoffMaker`."""
    del footprint
    return Alone()
