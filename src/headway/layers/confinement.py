"""Directories that no path in a layer leads out of.

Rule 1: a file is always named by a descriptor of its parent directory and one component, which is never followed.
Rule 2: a parent is found as after chroot(2): symlinks on the way are followed, absolute ones and ``..`` end at the
        root of the layer. Where there are none the kernel does it, if it has openat2 (Linux 5.6); else each component
        is opened by itself with O_NOFOLLOW and links are resolved here, so that it is known where a path led. Nothing
        needs privileges, so root and others run the same code.
Rule 3: only the thread that unpacks changes the tree meanwhile; what it removes, it tells (`Root.forget`).
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_COMPONENT = _DIRECTORY | os.O_NOFOLLOW
_LINKS = 40  # what the kernel allows on one path (path_resolution(7))
_KEPT = 64

_OPENAT2 = 437  # the same on every architecture but alpha
_NO_SYMLINKS, _IN_ROOT = 0x04, 0x10

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_HOW = _OpenHow(_DIRECTORY, 0, _NO_SYMLINKS | _IN_ROOT)

Maker = Callable[[int, bytes, bytes], None]
"""Makes a directory that a path needs: descriptor of its parent, its name, its path from the root without symlinks.

It is called where nothing, or something that is neither directory nor symlink, has the name.
"""


def openat2(directory: int, path: bytes) -> int:
    """Return a descriptor (O_PATH) of the directory at `path`, resolved inside `directory` as if that were the root.

    Raises:
        OSError: As open(2); ELOOP where a symlink is on the way; ENOSYS or EPERM where the kernel or a seccomp filter
            has no openat2.
    """
    descriptor = int(_libc.syscall(_OPENAT2, directory, path, ctypes.byref(_HOW), ctypes.sizeof(_HOW)))
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return descriptor


def has_openat2() -> bool:
    """Tell whether this kernel, and whatever filters our system calls, let us use openat2."""
    root = os.open("/", _DIRECTORY)
    try:
        os.close(openat2(root, b"."))
    except OSError as error:
        return error.errno not in (errno.ENOSYS, errno.EPERM, errno.EACCES)
    finally:
        os.close(root)
    return True


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


class Root:
    """The directory a layer is unpacked into.

    Args:
        directory: It exists already.
        make: Makes directories that paths need and nothing made before.
        kernel: Whether openat2 resolves paths; None asks the kernel.

    Attributes:
        descriptor: Of the directory itself, readable.
        detours: Where those paths led that `directory` was asked for and that have a symlink on the way.
    """

    def __init__(self, directory: Path, make: Maker, *, kernel: bool | None = None) -> None:
        self._make = make
        self._kernel = has_openat2() if kernel is None else kernel
        self._kept: dict[bytes, int] = {}  # the most recently used one last
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
        descriptor = self._kept.pop(path, None)
        if descriptor is None:
            descriptor = self._open(path, create=create)
            if len(self._kept) >= _KEPT:
                os.close(self._kept.pop(next(iter(self._kept))))
        self._kept[path] = descriptor
        return descriptor

    def forget(self) -> None:
        """Close those that were given out: a directory or a symlink has been removed."""
        for descriptor in self._kept.values():
            os.close(descriptor)
        self._kept.clear()
        self.detours.clear()

    def _open(self, path: bytes, *, create: bool) -> int:
        if self._kernel:
            try:
                return openat2(self.descriptor, path)
            except OSError as error:
                # ELOOP: a symlink, which the walk follows.
                missing = error.errno in (errno.ENOENT, errno.ENOTDIR) and create
                if not missing and error.errno != errno.ELOOP:
                    raise
        with _Walk(self.descriptor, self._make if create else None) as walk:
            descriptor = walk.open(path)
            if walk.path != path:
                self.detours[path] = walk.path
            return descriptor


class _Walk:
    """One path, resolved component by component."""

    def __init__(self, root: int, make: Maker | None) -> None:
        self._root = root
        self._make = make
        self._here = os.dup(root)
        self._names: list[bytes] = []
        self._links = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._here)

    @property
    def path(self) -> bytes:
        """Where it is now, without symlinks."""
        return b"/".join(self._names)

    def open(self, path: bytes) -> int:
        """Return a new descriptor of the directory at `path`."""
        todo = path.split(b"/")[::-1]
        while todo:
            name = todo.pop()
            if name == b"..":
                self._up()
            elif name not in (b"", b".") and (target := self._down(name)) is not None:
                self._links += 1
                if self._links > _LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                if target.startswith(b"/"):
                    self._names.clear()
                    self._move(os.dup(self._root))
                todo += target.split(b"/")[::-1]
        return os.dup(self._here)

    def _up(self) -> None:
        if self._names:
            self._names.pop()
            self._move(os.open(b"..", _COMPONENT, dir_fd=self._here))

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
        return None

    def _target(self, name: bytes) -> bytes | None:
        try:
            return os.readlink(name, dir_fd=self._here)
        except OSError:  # EINVAL: not a symlink; ENOENT: nothing
            return None

    def _move(self, descriptor: int) -> None:
        os.close(self._here)
        self._here = descriptor
