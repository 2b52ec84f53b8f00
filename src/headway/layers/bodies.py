"""The content of a file, from the pieces of a tar to an open file."""

from __future__ import annotations

import os
from collections.abc import Iterable

from headway.layers.tar_sparse import Map


def write(descriptor: int, body: Iterable[memoryview]) -> None:
    """Write all of `body`.

    Raises:
        OSError: As write(2).
    """
    for view in body:
        written = os.write(descriptor, view)
        while written < len(view):
            written += os.write(descriptor, view[written:])


def write_sparse(descriptor: int, body: Iterable[memoryview], sparse: Map, size: int) -> None:
    """Write the parts of a sparse file where they belong, and give it its length; the rest stays a hole.

    Raises:
        OSError: As lseek(2), write(2) and ftruncate(2).
    """
    parts = ((offset, length) for offset, length in sparse if length)
    left = 0
    for view in body:
        rest = view
        while rest:
            if not left:
                offset, left = next(parts)  # the map is as long as the body, see `tar_sparse.checked`
                os.lseek(descriptor, offset, os.SEEK_SET)
            write(descriptor, (rest[:left],))
            taken = min(left, len(rest))
            left -= taken
            rest = rest[taken:]
    os.ftruncate(descriptor, size)
