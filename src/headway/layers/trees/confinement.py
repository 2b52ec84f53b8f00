"""Directories that no path in a layer leads out of.

Rule 1: a file is always named by a descriptor of its parent directory and one component, which is never followed.
Rule 2: a parent is found as after chroot(2): symlinks on the way are followed, absolute ones and ``..`` end at the
        root of the layer. Where there are none the kernel does it, if it has openat2 (Linux 5.6); else each component
        is opened by itself with O_NOFOLLOW and links are resolved here, so that it is known where a path led. Nothing
        needs privileges, so root and others run the same code.
Rule 3: the caller reports what it removes (`Root.forget`). A container may change the tree meanwhile, and move a
        directory that a walk is in: ``..`` is never opened, since it would then lead above the root.
Rule 4: a walk begins at the nearest directory that is still open, and keeps some open on the way: otherwise a path
        of 2,000 levels, each of which is asked for, would cost two million steps.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

from headway.layers.trees.openat2 import has_openat2, openat2

_COMPONENT = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PATH_MAX = 4096
_LINKS = 40  # what the kernel allows on one path (path_resolution(7))
_STEPS = 4096  # of one path with the links on it: twice as many as fit a path, and what an entry of a layer may cost
_KEPT = 64
_STRIDE = 32  # with as many marks as are kept, one path as long as a path can be has a mark every so many levels

Maker = Callable[[int, bytes, bytes], None]
"""Makes a directory that a path needs: descriptor of its parent, its name, its path from the root without symlinks.

It is called where nothing, or something that is neither directory nor symlink, has the name.
"""


def clamped(name: bytes) -> bytes:
    """Return a name from an archive as a path from the root, without ``.``, ``..`` and empty components.

    What would lead above the root stays at the root, as in Docker; the root itself is an empty path.
    """
    if name.startswith(b"./"):
        name = name[2:]
    if b"//" not in name and b"/." not in name and name[:1] not in (b"", b".", b"/"):
        return name.removesuffix(b"/")
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


class _Mark(NamedTuple):
    """A directory that is open.

    Attributes:
        descriptor: Its descriptor.
        path: Its path, without symlinks.
        links: How many symlinks were followed on the way.
        steps: How many components were passed, with those of links.
    """

    descriptor: int
    path: bytes
    links: int
    steps: int


class _Marks:
    """A limited number of open directories, the most recently used one last."""

    def __init__(self) -> None:
        self._marks: dict[bytes, _Mark] = {}

    def __contains__(self, path: bytes) -> bool:
        return path in self._marks

    def get(self, path: bytes) -> _Mark | None:
        """Return the directory that was found at `path`, and count it as used."""
        mark = self._marks.pop(path, None)
        if mark is not None:
            self._marks[path] = mark
        return mark

    def add(self, path: bytes, mark: _Mark) -> bytes | None:
        """Add a directory; return the path of the one that it displaces."""
        evicted = None
        if len(self._marks) >= _KEPT:
            evicted = next(iter(self._marks))
            os.close(self._marks.pop(evicted).descriptor)
        self._marks[path] = mark
        return evicted

    def clear(self) -> None:
        """Close all."""
        for mark in self._marks.values():
            os.close(mark.descriptor)
        self._marks.clear()


class Root:
    """The directory a layer is unpacked into.

    Args:
        directory: It exists already.
        make: Makes directories that paths need and nothing made before; None where none are ever to be made.
        kernel: Whether openat2 resolves paths; None asks the kernel.

    Attributes:
        descriptor: Of the directory itself, readable.
        detours: Where those paths led that have a symlink on the way, for as long as their directories stay open.
    """

    def __init__(self, directory: Path, make: Maker | None, *, kernel: bool | None = None) -> None:
        self._make = make
        self._kernel = has_openat2() if kernel is None else kernel
        self._kept = _Marks()  # what was asked for, by the path it was asked for by
        self._passed = _Marks()  # what walks passed, by where it is
        self.detours: dict[bytes, bytes] = {}
        self.descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close every descriptor."""
        self.forget()
        os.close(self.descriptor)

    def directory(self, path: bytes, *, create: bool = True) -> int:
        """Return a descriptor of the directory at `path`, which has no ``.``, ``..`` or empty component.

        It stays open until two others were asked for, or `forget` is called. What is missing is made, unless
        `create` is False.

        Raises:
            OSError: Something on the way is not a directory, or there are too many symlinks.
        """
        if not path:
            return self.descriptor
        mark = self._kept.get(path)
        if mark is None:
            mark = self._open(path, create=create)
            if mark.path != path:
                self.detours[path] = mark.path
            if (evicted := self._kept.add(path, mark)) is not None:
                self.detours.pop(evicted, None)
        return mark.descriptor

    def forget(self) -> None:
        """Close all directories that were returned, because a directory or a symlink has been removed."""
        self._kept.clear()
        self._passed.clear()
        self.detours.clear()

    def _open(self, path: bytes, *, create: bool) -> _Mark:
        if self._kernel:
            try:
                return _Mark(openat2(self.descriptor, path), path, 0, path.count(b"/") + 1)
            except OSError as error:
                # ELOOP: a symlink, which the walk follows.
                missing = error.errno in (errno.ENOENT, errno.ENOTDIR) and create
                if not missing and error.errno != errno.ELOOP:
                    raise
        length, begin = self._nearest(path)
        with _Walk(self._reach, begin, self._make if create else None, self._pass) as walk:
            return walk.open(path[length:])

    def _reach(self, path: bytes) -> int:
        """Return a new descriptor of the directory at `path`, which has no symlink on it."""
        if self._kernel and path and len(path) < _PATH_MAX:
            return openat2(self.descriptor, path)
        length, begin = self._nearest(path + b"/")
        here = os.dup(begin.descriptor)
        try:
            for name in filter(None, path[length:].split(b"/")):
                below = os.open(name, _COMPONENT, dir_fd=here)
                os.close(here)
                here = below
        except OSError:
            os.close(here)
            raise
        return here

    def _nearest(self, path: bytes) -> tuple[int, _Mark]:
        """Return the nearest directory on the way that is open, and how much of `path` leads there."""
        above = path.rpartition(b"/")[0]
        if above and (mark := self._kept.get(above)) is not None:
            return len(above), mark
        parts = above.split(b"/")
        for depth in range(len(parts) // _STRIDE * _STRIDE, 0, -_STRIDE):
            passed = b"/".join(parts[:depth])
            if (mark := self._passed.get(passed)) is not None:
                return len(passed), mark
        return 0, _Mark(self.descriptor, b"", 0, 0)

    def _pass(self, mark: _Mark) -> None:
        """Keep a directory that a walk is in, for others to begin at."""
        if mark.path not in self._passed:
            self._passed.add(mark.path, mark._replace(descriptor=os.dup(mark.descriptor)))


class _Walk:
    """One path, resolved component by component.

    Args:
        reach: Opens a directory by its path without symlinks.
        begin: What the path begins at.
        make: Makes directories; None where none are to be made.
        passing: Told of directories on the way, every so many levels.
    """

    def __init__(
        self, reach: Callable[[bytes], int], begin: _Mark, make: Maker | None, passing: Callable[[_Mark], None]
    ) -> None:
        self._reach = reach
        self._make = make
        self._passing = passing
        self._here = os.dup(begin.descriptor)
        self._names = begin.path.split(b"/") if begin.path else []
        self._links = begin.links
        self._steps = begin.steps

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._here)

    def open(self, path: bytes) -> _Mark:
        """Return the directory at `path`, with a new descriptor."""
        todo = path.split(b"/")[::-1]
        while todo:
            name = todo.pop()
            if name in (b"", b"."):
                continue
            self._count(path, steps=1)
            if name == b"..":
                self._up()
            elif (target := self._down(name)) is not None:
                self._count(path, links=1)
                if target.startswith(b"/"):
                    self._names.clear()
                    self._move(self._reach(b""))
                todo += target.split(b"/")[::-1]
        return _Mark(os.dup(self._here), b"/".join(self._names), self._links, self._steps)

    def _count(self, path: bytes, *, steps: int = 0, links: int = 0) -> None:
        self._steps += steps
        self._links += links
        if self._steps > _STEPS or self._links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)

    def _up(self) -> None:
        if self._names:
            self._names.pop()
            self._move(self._reach(b"/".join(self._names)))

    def _down(self, name: bytes) -> bytes | None:
        """Go to `name`, or return the target of the symlink that has the name."""
        try:
            descriptor = os.open(name, _COMPONENT, dir_fd=self._here)
        except (FileNotFoundError, NotADirectoryError):
            if (target := self._target(name)) is not None:
                return target
            if self._make is None:
                raise
            self._make(self._here, name, b"/".join([*self._names, name]))
            descriptor = os.open(name, _COMPONENT, dir_fd=self._here)
        self._names.append(name)
        self._move(descriptor)
        if len(self._names) % _STRIDE == 0:
            self._passing(_Mark(self._here, b"/".join(self._names), 0, len(self._names)))
        return None

    def _target(self, name: bytes) -> bytes | None:
        try:
            return os.readlink(name, dir_fd=self._here)
        except OSError:  # EINVAL: not a symlink; ENOENT: nothing
            return None

    def _move(self, descriptor: int) -> None:
        os.close(self._here)
        self._here = descriptor
