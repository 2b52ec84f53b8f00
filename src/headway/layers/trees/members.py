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
from pathlib import Path

from headway.layers.tar.entry import BLOCKDEV, CHAR, DIRECTORY, FIFO, FILE, HARDLINK, SYMLINK, Entry
from headway.layers.tar.writer import Member
from headway.layers.trees.directories import READ, Directories
from headway.layers.trees.files import LeftOut
from headway.layers.trees.xattrs import archived_xattrs

READ_BYTES = 1 << 18
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
    with Directories([Path(f"/proc/self/fd/{parent}")], os.O_PATH) as directories:
        yield from TreeMembers(directories).walk(b"" if name == b"." else name, shown)


class TreeMembers:
    """The members of one archive: a second name of a file becomes a hard link to the first.

    Args:
        directories: Opens directories by their paths from its only root; ``os.O_PATH`` is enough.
    """

    def __init__(self, directories: Directories) -> None:
        self._directories = directories
        self._links: dict[tuple[int, int], bytes] = {}
        # In a store that is not root's, our own files stand for root's (layers/unpacking/metadata.py).
        self._root = (os.geteuid(), os.getegid())

    def one(self, path: bytes, shown: bytes) -> Member | None:
        """Return what is at `path`, without what is below it; None for a socket."""
        above, _, name = path.rpartition(b"/")
        parent = self._directories.open(0, above)
        name = name or b"."
        return self._member(parent, name, shown, os.stat(name, dir_fd=parent, follow_symlinks=False))

    def walk(self, path: bytes, shown: bytes) -> Iterator[Member]:
        """Yield what is at `path`, and everything below it; see `members`."""
        top = self.one(path, shown)
        if top is None:
            return
        base, shown_base = path + b"/" if path else b"", _below(shown)
        levels = [self._names(path)] if top[0].kind == DIRECTORY else []
        above = b""  # from the top to what the last of the levels lists, and a slash
        if shown:
            yield top
        while levels:
            if not levels[-1]:
                levels.pop()
                above = above[: above.rfind(b"/", 0, -1) + 1]
                continue
            inside = above + levels[-1].pop()
            member = None
            with LeftOut():
                found = self.one(base + inside, shown_base + inside)
                if found is not None and found[0].kind == DIRECTORY:
                    levels.append(self._names(base + inside))
                    above = inside + b"/"
                member = found
            if member is not None:
                yield member

    def _names(self, path: bytes) -> list[bytes]:
        """Return what a directory holds, the last name first."""
        descriptor = os.open(b".", READ | os.O_DIRECTORY, dir_fd=self._directories.open(0, path))
        try:
            return sorted(map(os.fsencode, os.listdir(descriptor)), reverse=True)
        finally:
            os.close(descriptor)

    def _member(self, parent: int, name: bytes, shown: bytes, status: os.stat_result) -> Member | None:
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return None
        entry = self._entry(_below(shown) if kind == DIRECTORY else shown, kind, status)
        is_shared = status.st_nlink > 1 and kind != DIRECTORY
        key = (status.st_dev, status.st_ino)
        if is_shared and (first := self._links.get(key, shown)) != shown:
            entry.kind, entry.size, entry.linkname = HARDLINK, 0, first
            return entry, ()
        if kind == SYMLINK:
            entry.linkname = os.readlink(name, dir_fd=parent)
        if kind == FILE:
            body: Iterable[bytes] = _Body(parent, name, entry)
        else:
            body = ()
            entry.xattrs = archived_xattrs(b"/proc/self/fd/%d/%s" % (parent, name))
        if is_shared:
            self._links[key] = shown  # now that it is sure to come
        return entry, body

    def _entry(self, shown: bytes, kind: bytes, status: os.stat_result) -> Entry:
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


class _Body:
    """A file's bytes, opened at once so that its attributes are there before its header is written."""

    def __init__(self, parent: int, name: bytes, entry: Entry) -> None:
        self._descriptor = -1
        self._descriptor = os.open(name, READ, dir_fd=parent)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(errno.ENOENT, "it is no file any more", name)
        entry.size = status.st_size
        entry.xattrs = archived_xattrs(self._descriptor)
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
