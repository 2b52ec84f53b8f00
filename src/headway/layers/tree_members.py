"""A tree of files as the members of an archive: in order, hard links kept, nothing outside of it read.

Rule 1: the order is that of the names' bytes, a directory before what it holds: the same tree gives the same archive.
Rule 2: each component is opened from its parent's descriptor and never followed; a tree that changes meanwhile can
        make the archive odd, and not lead it out. What goes or becomes something else is left out.
Rule 3: depth costs neither calls nor descriptors.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Self

from headway.layers.copying import LABEL
from headway.layers.tar_entry import BLOCKDEV, CHAR, DIRECTORY, FIFO, FILE, HARDLINK, SYMLINK, Entry
from headway.layers.tar_writer import Member
from headway.layers.tree_files import left_out

READ_BYTES = 1 << 18
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_OPEN = 32  # of the directories that a walk is in, the deepest
_ACLS = frozenset(("system.posix_acl_access", "system.posix_acl_default"))
_KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHAR,
    stat.S_IFBLK: BLOCKDEV,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFIFO: FIFO,
}
"""Kinds that an archive has; sockets are left out, as Docker does (moby-behaviour 4.8)."""


def members(parent: int, name: bytes, shown: bytes) -> Iterator[Member]:
    """Yield what has `name` in the directory `parent`, and everything below it.

    Args:
        parent: Descriptor of a directory.
        name: One component, or ``.``.
        shown: Its name in the archive, ``/`` for a root; empty leaves the entry itself out and names the rest from
            there.

    Raises:
        OSError: It cannot be read.
    """
    yield from TreeMembers().walk(parent, name, shown)


class TreeMembers:
    """The members of one archive: a second name of a file becomes a hard link to the first."""

    def __init__(self) -> None:
        self._links: dict[tuple[int, int], bytes] = {}
        # In a store that is not root's, our own files stand for root's (layers/metadata.py).
        self._root = (os.geteuid(), os.getegid())

    def one(self, parent: int, name: bytes, shown: bytes) -> Member | None:
        """Return what has `name` in the directory `parent`, without what is below it; None for a socket."""
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            return self._other(parent, name, shown, status)
        descriptor = os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=parent)
        try:
            return self._described(descriptor, shown, status), ()
        finally:
            os.close(descriptor)

    def walk(self, parent: int, name: bytes, shown: bytes) -> Iterator[Member]:
        """Yield what has `name` in the directory `parent`, and everything below it; see `members`."""
        with _Descent() as inside:
            if (member := self._entered(inside, parent, name, shown)) is not None:
                yield member
            while (child := inside.next()) is not None:
                member = None
                with left_out():
                    member = self._entered(inside, inside.here(), *child)
                if member is not None:
                    yield member

    def _entered(self, inside: _Descent, parent: int, name: bytes, shown: bytes) -> Member | None:
        """Return what has `name` in `parent`, if it belongs in; where it is a directory, go there."""
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            return self._other(parent, name, shown, status)
        descriptor = os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=parent)
        inside.enter(descriptor, name, shown)
        return (self._described(descriptor, shown, status), ()) if shown else None

    def _described(self, descriptor: int, shown: bytes, status: os.stat_result) -> Entry:
        entry = self._entry(_below(shown), status)
        entry.xattrs = _xattrs(descriptor)
        return entry

    def _other(self, parent: int, name: bytes, shown: bytes, status: os.stat_result) -> Member | None:
        if stat.S_IFMT(status.st_mode) not in _KINDS:
            return None
        entry = self._entry(shown, status)
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and (first := self._links.get(key, shown)) != shown:
            entry.kind, entry.size, entry.linkname = HARDLINK, 0, first
            return entry, ()
        if entry.kind == SYMLINK:
            entry.linkname = os.readlink(name, dir_fd=parent)
        if entry.kind == FILE:
            body: Iterable[bytes] = _Body(parent, name, entry)
        else:
            body = ()
            entry.xattrs = _xattrs(b"/proc/self/fd/%d/%s" % (parent, name))
        if status.st_nlink > 1:
            self._links[key] = shown  # now that it is sure to come
        return entry, body

    def _entry(self, shown: bytes, status: os.stat_result) -> Entry:
        kind = _KINDS[stat.S_IFMT(status.st_mode)]
        device = (os.major(status.st_rdev), os.minor(status.st_rdev)) if kind in (CHAR, BLOCKDEV) else (0, 0)
        return Entry(
            shown,
            kind,
            stat.S_IMODE(status.st_mode),
            0 if status.st_uid == self._root[0] else status.st_uid,
            0 if status.st_gid == self._root[1] else status.st_gid,
            status.st_size if kind == FILE else 0,
            status.st_mtime_ns,
            b"",
            device,
        )


def _below(shown: bytes) -> bytes:
    """Return what the names of all that is in a directory begin with."""
    return shown if shown in (b"", b"/") else shown + b"/"


class _Level:
    """One directory of those that a walk is in; `names` are left, the next one last."""

    __slots__ = ("descriptor", "name", "names", "shown")

    def __init__(self, descriptor: int, name: bytes, shown: bytes) -> None:
        self.descriptor = descriptor  # -1 where it is closed
        self.name = name
        self.shown = shown
        self.names = sorted((os.fsencode(each) for each in os.listdir(descriptor)), reverse=True)


class _Descent:
    """The directories that a walk is in. The first one and the deepest ones are open."""

    def __init__(self) -> None:
        self._levels: list[_Level] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for level in self._levels:
            self._close(level)

    def enter(self, descriptor: int, name: bytes, shown: bytes) -> None:
        """Go to a directory, whose descriptor is closed here."""
        try:
            self._levels.append(_Level(descriptor, name, shown))
        except BaseException:
            os.close(descriptor)
            raise
        if len(self._levels) > _OPEN + 1:
            self._close(self._levels[-_OPEN - 1])

    def next(self) -> tuple[bytes, bytes] | None:
        """Return name and name in the archive of what comes next, None at the end; leave directories that are done."""
        while self._levels:
            level = self._levels[-1]
            if level.names:
                name = level.names.pop()
                return name, _below(level.shown) + name
            self._close(self._levels.pop())
        return None

    def here(self) -> int:
        """Return a descriptor of the directory that the walk is in.

        Raises:
            OSError: It is not where it was.
        """
        if self._levels[-1].descriptor < 0:
            self._open_again()
        return self._levels[-1].descriptor

    def _open_again(self) -> None:
        # From above, never by "..", which leads out where somebody has moved a directory.
        above = self._levels[0]
        for depth, level in enumerate(self._levels[1:], 1):
            self._close(level)
            level.descriptor = os.open(level.name, _FLAGS | os.O_DIRECTORY, dir_fd=above.descriptor)
            if 1 < depth <= len(self._levels) - _OPEN:
                self._close(above)
            above = level

    @staticmethod
    def _close(level: _Level) -> None:
        if level.descriptor >= 0:
            os.close(level.descriptor)
            level.descriptor = -1


class _Body:
    """A file's bytes, opened at once so that its attributes are there before its header is written."""

    def __init__(self, parent: int, name: bytes, entry: Entry) -> None:
        self._descriptor = -1
        self._descriptor = os.open(name, _FLAGS, dir_fd=parent)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(errno.ENOENT, "it is no file any more", name)
        entry.size = status.st_size
        entry.xattrs = _xattrs(self._descriptor)
        self._left = entry.size

    def __iter__(self) -> Iterator[bytes]:
        try:
            while self._left:
                piece = os.read(self._descriptor, min(self._left, READ_BYTES))
                # A file that shrank is filled up: the length has been announced.
                piece = piece or bytes(min(self._left, READ_BYTES))
                self._left -= len(piece)
                yield piece
        finally:
            self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


def _xattrs(target: int | bytes) -> dict[bytes, bytes]:
    """Return the attributes of a descriptor, or of a path that is not followed, that belong in an archive.

    Overlay's own say something to a mount only, a label to this machine; of a file system's, every one knows ACLs.
    """
    found: dict[bytes, bytes] = {}
    follow = isinstance(target, int)
    try:
        names = os.listxattr(target, follow_symlinks=follow)
    except OSError:
        return found  # a file system without them
    for name in names:
        if name in _ACLS or not (name.startswith(("trusted.overlay.", "user.overlay.", "system.")) or name == LABEL):
            with suppress(OSError):
                found[os.fsencode(name)] = os.getxattr(target, name, follow_symlinks=follow)
    return found
