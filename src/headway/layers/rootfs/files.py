"""Files of a root file system by the paths that its own processes use, as `docker cp` reads them (moby-behaviour 6.20).

Rule 1: a path is resolved inside the root, links included: nothing outside is looked at.
Rule 2: a path that ends in ``/`` or ``/.`` means what a symlink leads to, any other the symlink itself.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from headway.container_records import FileStat
from headway.errors import InvalidPathError, NotFoundError, StoreError
from headway.layers.failures import disk_failures
from headway.layers.tar.writer import Member
from headway.layers.trees.confinement import Root, clamped
from headway.layers.trees.members import members

_MISSING = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))
_LINKS = 40


class RootfsFiles:
    """A root file system that is mounted or lies in a directory. A context manager, for it keeps descriptors.

    Args:
        root: Its directory.

    Raises:
        StoreError: It is not there.
    """

    def __init__(self, root: Path) -> None:
        self._path = root
        with disk_failures(str(root)):
            self._root = Root(root, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._root.close()

    def stat(self, path: str) -> FileStat:
        """Return what is at `path`.

        Raises:
            NotFoundError: Nothing is.
            StoreError: It cannot be read.
        """
        with self._errors(path):
            parent, name = self._find(path)
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            target = self._target(parent, name, path) if stat.S_ISLNK(found.st_mode) else ""
        return FileStat(_shown(path), found.st_mode, found.st_size, found.st_mtime_ns, target)

    def members(self, path: str) -> Iterator[Member]:
        """Yield what is at `path` and below it, under the name it is asked for by; ``/.`` leaves that name out.

        The root is ``/``, and what is in it has names from there. For an empty path it is left out, and its name too.

        Raises:
            NotFoundError: Nothing is there.
            StoreError: It cannot be read.
        """
        with self._errors(path):
            parent, name = self._find(path)
            yield from members(parent, name, os.fsencode(_shown(path)) if path else b"")

    def _find(self, path: str) -> tuple[int, bytes]:
        """Return the descriptor of the directory that something is in, and its name there."""
        raw = os.fsencode(path)
        if b"\0" in raw:
            raise InvalidPathError(path, "it holds a NUL")
        inside = clamped(raw)
        if not inside or raw.endswith((b"/", b"/.")):
            return self._root.directory(inside, create=False), b"."
        above, _, name = inside.rpartition(b"/")
        return self._root.directory(above, create=False), name

    def _target(self, parent: int, name: bytes, path: str) -> str:
        """Return where a symlink leads in the end, inside the root; what is missing on the way stands as it is."""
        at = clamped(os.fsencode(path))
        link = os.readlink(name, dir_fd=parent)
        for _ in range(_LINKS):
            at = clamped(link) if link.startswith(b"/") else _joined(at.rpartition(b"/")[0], link)
            above, _, last = at.rpartition(b"/")
            try:
                link = os.readlink(last, dir_fd=self._root.directory(above, create=False))
            except OSError:
                break
        return "/" + os.fsdecode(at)

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _MISSING:
                raise NotFoundError("file", path) from None
            if error.errno in (errno.ENAMETOOLONG, errno.EINVAL):
                raise InvalidPathError(path, os.strerror(error.errno)) from None
            raise StoreError(f"cannot read {path!r} in {self._path}: {error.strerror}") from error


def _joined(directory: bytes, link: bytes) -> bytes:
    return clamped(directory + b"/" + link)


def _shown(path: str) -> str:
    """Return the name that something is asked for by, as Docker cleans it; `docker cp` goes by it."""
    if path.rstrip("/").rpartition("/")[2] == ".":
        return "."
    return os.fsdecode(clamped(os.fsencode(path)).rpartition(b"/")[2]) or "/"
