"""A tree of files as the members of an archive: in order, hard links kept, nothing outside of it read.

Rule 1: the order is that of the names' bytes, a directory before what it holds: the same tree gives the same archive.
Rule 2: each component is opened from its parent's descriptor and never followed; a tree that changes meanwhile can
        make the archive odd, and not lead it out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from headway.layers.tar_entry import BLOCKDEV, CHAR, DIRECTORY, FIFO, FILE, HARDLINK, SYMLINK, Entry
from headway.layers.tar_pax import NANOSECONDS
from headway.layers.tar_writer import Member

READ_BYTES = 1 << 20
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHAR,
    stat.S_IFBLK: BLOCKDEV,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFIFO: FIFO,
}
"""Kinds that an archive has; sockets are left out, as Docker does (moby-behaviour 4.8)."""

Wanted = Callable[[bytes], bool]
"""Tells whether the entry with a name belongs in."""


def members(
    parent: int,
    name: bytes,
    shown: bytes,
    *,
    wanted: Wanted = lambda _: True,
    whole_seconds: bool = False,
) -> Iterator[Member]:
    """Yield what has `name` in the directory `parent`, and everything below it.

    Args:
        parent: Descriptor of a directory.
        name: One component, or ``.``.
        shown: Its name in the archive; empty leaves the entry itself out and names the rest from there.
        wanted: Asked with the name in the archive; directories are looked into whatever it says.
        whole_seconds: Whether times lose their fraction, as in Docker's own archives.

    Raises:
        OSError: It cannot be read.
    """
    yield from TreeMembers(wanted, whole_seconds=whole_seconds).walk(parent, name, shown)


class TreeMembers:
    """The members of one archive: a second name of a file becomes a hard link to the first.

    Args:
        wanted: As in `members`.
        whole_seconds: As in `members`.
    """

    def __init__(self, wanted: Wanted = lambda _: True, *, whole_seconds: bool = False) -> None:
        self._wanted = wanted
        self._whole_seconds = whole_seconds
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
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            yield from self._directory(parent, name, shown, status)
        elif (member := self._other(parent, name, shown, status)) is not None:
            yield member

    def _directory(self, parent: int, name: bytes, shown: bytes, status: os.stat_result) -> Iterator[Member]:
        descriptor = os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=parent)
        try:
            if shown and self._wanted(shown):
                yield self._described(descriptor, shown, status), ()
            for child in sorted(os.fsencode(each) for each in os.listdir(descriptor)):
                with suppress(FileNotFoundError):  # it has gone meanwhile
                    yield from self.walk(descriptor, child, shown + b"/" + child if shown else child)
        finally:
            os.close(descriptor)

    def _described(self, descriptor: int, shown: bytes, status: os.stat_result) -> Entry:
        entry = self._entry(shown + b"/", status)
        entry.xattrs = _xattrs(descriptor)
        return entry

    def _other(self, parent: int, name: bytes, shown: bytes, status: os.stat_result) -> Member | None:
        if stat.S_IFMT(status.st_mode) not in _KINDS or not self._wanted(shown):
            return None
        entry = self._entry(shown, status)
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and (first := self._links.setdefault(key, shown)) != shown:
            entry.kind, entry.size, entry.linkname = HARDLINK, 0, first
            return entry, ()
        if entry.kind == SYMLINK:
            entry.linkname = os.readlink(name, dir_fd=parent)
        if entry.kind != FILE:
            return entry, ()
        return entry, _Body(parent, name, entry)

    def _entry(self, shown: bytes, status: os.stat_result) -> Entry:
        kind = _KINDS[stat.S_IFMT(status.st_mode)]
        device = (os.major(status.st_rdev), os.minor(status.st_rdev)) if kind in (CHAR, BLOCKDEV) else (0, 0)
        mtime = status.st_mtime_ns
        return Entry(
            shown,
            kind,
            stat.S_IMODE(status.st_mode),
            0 if status.st_uid == self._root[0] else status.st_uid,
            0 if status.st_gid == self._root[1] else status.st_gid,
            status.st_size if kind == FILE else 0,
            mtime - mtime % NANOSECONDS if self._whole_seconds else mtime,
            b"",
            device,
        )


class _Body:
    """A file's bytes, opened at once so that its attributes are there before its header is written."""

    def __init__(self, parent: int, name: bytes, entry: Entry) -> None:
        self._descriptor = os.open(name, _FLAGS, dir_fd=parent)
        status = os.fstat(self._descriptor)
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


def _xattrs(descriptor: int) -> dict[bytes, bytes]:
    """Return the attributes that belong in an archive: overlay's own say something to a mount only."""
    found: dict[bytes, bytes] = {}
    try:
        names = os.listxattr(descriptor)
    except OSError:
        return found  # a file system without them
    for name in names:
        if not name.startswith(("trusted.overlay.", "user.overlay.", "system.")):
            with suppress(OSError):
                found[os.fsencode(name)] = os.getxattr(descriptor, name)
    return found


def joined(pieces: Iterable[bytes], size: int = READ_BYTES) -> Iterator[bytes]:
    """Yield the same bytes in pieces of at least `size`, but for the last one: fewer, larger writes."""
    held: list[bytes] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length >= size:
            yield b"".join(held)
            held, length = [], 0
    if held:
        yield b"".join(held)
