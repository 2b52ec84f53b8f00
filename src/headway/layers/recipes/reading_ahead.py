"""Opens the files of a tree a little before their turn, so that the disk reads many at once.

Rule: files that are not in memory cost one wait per window of files, not one each; files in memory cost one more system
      call.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import Final

from headway.layers.recipes.steps import Body
from headway.layers.trees.files import TreeFiles

FILES: Final = 64
"""Steps that may wait for their turn: each may be an open file."""

BYTES: Final = 4 << 20
"""How many bytes may wait in memory: of pieces, and of the files' beginnings."""

_BEGINNING: Final = 1 << 20
"""How many bytes of a file are asked for in advance; after that the kernel reads ahead by itself."""

Opened = int | OSError
"""A descriptor, which whoever takes it must close; or why there is none."""


def opened_ahead(
    steps: Iterable[bytes | Body], files: TreeFiles
) -> Generator[tuple[bytes | Body, Opened | None], None, None]:
    """Yield each step, with its file open if it is a body in the tree.

    Args:
        steps: See `steps.steps`.
        files: Where the bodies are.
    """
    waiting: deque[tuple[bytes | Body, Opened | None]] = deque()
    size = 0
    try:
        for step in steps:
            opened = _opened(step, files)
            waiting.append((step, opened))
            size += _weight(step)
            while len(waiting) > FILES or size > BYTES:
                size -= _weight(waiting[0][0])
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        for _, opened in waiting:
            if isinstance(opened, int):
                os.close(opened)


def _weight(step: bytes | Body) -> int:
    return min(step.size, _BEGINNING) if isinstance(step, Body) else len(step)


def _opened(step: bytes | Body, files: TreeFiles) -> Opened | None:
    if not isinstance(step, Body) or step.kept is not None:
        return None
    try:
        descriptor = files.open(step.path)
    except OSError as error:
        return error
    with suppress(OSError):  # of a pipe that stands where a file was: whoever reads it says so
        os.posix_fadvise(descriptor, 0, min(step.size, _BEGINNING), os.POSIX_FADV_WILLNEED)
    return descriptor
