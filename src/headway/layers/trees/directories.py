"""Opens the directories of trees without following symlinks, and keeps a bounded number of them open.

Rule: no symlink is ever followed by the kernel. Every directory is opened component by component from its tree's root,
      so that a hostile tree, or one that a container changes meanwhile, leads nowhere else.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import AnyStr, Self

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How a file of a tree is opened: no symlink is followed, and a pipe blocks nobody."""


class Directories:
    """Descriptors of directories below some roots, opened without following symlinks; some stay open.

    A bounded number stays open, however deep and however many the trees are. One thread uses it.

    Args:
        roots: The directories that paths are relative to.
        how: Flags of open(2): `os.O_PATH` opens what may be searched, though it may not be listed.
    """

    def __init__(self, roots: Sequence[Path], how: int = os.O_RDONLY) -> None:
        self._how = how | os.O_DIRECTORY | os.O_CLOEXEC
        self._kept: OrderedDict[tuple[int, str | bytes], int] = OrderedDict()
        self._capacity = max(64, 2 * len(roots))
        self._roots: list[int] = []
        try:
            for root in roots:
                self._roots.append(os.open(root, self._how))
        except OSError:
            self.close()
            raise

    def open(self, root: int, path: AnyStr) -> int:
        """Return a descriptor of the directory at `path`, valid until the next call.

        Raises:
            OSError: There is none, or a component of the path is not a directory.
        """
        known = self._kept.get((root, path))
        if known is not None:
            self._kept.move_to_end((root, path))
            return known
        whole = path
        missing: list[tuple[int, AnyStr]] = []  # no paths: all those above one take room by the square of the depth
        descriptor = self._roots[root]
        while path:
            known = self._kept.get((root, path))
            if known is not None:
                descriptor = known
                break
            above, name = os.path.split(path)
            missing.append((len(path), name))
            path = above if above != path else path[:0]  # above "/" there is nothing but "/"
        for end, name in reversed(missing):
            descriptor = os.open(name, self._how | os.O_NOFOLLOW, dir_fd=descriptor)
            self._keep((root, whole[:end]), descriptor)
        return descriptor

    def close(self) -> None:
        """Close every descriptor."""
        for descriptor in (*self._kept.values(), *self._roots):
            os.close(descriptor)
        self._kept.clear()
        self._roots.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep(self, key: tuple[int, str | bytes], descriptor: int) -> None:
        self._kept[key] = descriptor
        if len(self._kept) > self._capacity:
            os.close(self._kept.popitem(last=False)[1])
