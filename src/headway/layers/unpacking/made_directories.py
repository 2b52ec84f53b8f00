"""Makes the directories of a layer that is being unpacked; they are finished last.

Rule 1: they get owner, mode, attributes and times at the end, for files made inside would inherit or change them.
Rule 2: an entry for a directory that exists changes only its metadata.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import TypeAlias

from headway.layers.tar.entry import Entry
from headway.layers.trees.confinement import Root
from headway.layers.trees.footprint import Footprint
from headway.layers.trees.whiteouts import Whiteouts, is_whiteout
from headway.layers.unpacking.metadata import Metadata
from headway.layers.unpacking.remembered import Remembered
from headway.libc import change_mode

DEFAULT_MODE = 0o755
"""Of a directory that no entry describes."""

LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a directory is opened to be read or changed."""

Clear: TypeAlias = Callable[[int, bytes], int]
"""Removes what has a path: descriptor of its parent, path; returns the parent's descriptor, maybe another one now."""

_GONE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))


class MadeDirectories:
    """Makes and remembers them.

    Args:
        metadata: Applies what entries say.
        whiteouts: Hides what is below a directory that was whited out.
        rootless: As for `Metadata`.
        clear: See `Clear`.

    Attributes:
        implicit: Paths of those that no entry has described, by inode: an entry may reach one through a symlink. What a
            lower layer says of them holds.
        root_entry: What the layer says of its root.

    Raises:
        OSError: From every method: a system call failed.
    """

    def __init__(self, metadata: Metadata, whiteouts: Whiteouts, *, rootless: bool, clear: Clear) -> None:
        self.implicit: Remembered[int, bytes] = Remembered(lambda _, path: len(path))
        self.root_entry: Entry | None = None
        self._anew: Remembered[int, bytes] = Remembered(lambda _, path: len(path))  # a whiteout hides what was below
        self._entries: Remembered[bytes, Entry] = Remembered(lambda path, _: len(path))
        self._found: set[bytes] = set()  # those that were there when their entry came
        self._metadata = metadata
        self._whiteouts = whiteouts
        self._widen = 0o700 if rootless else 0
        self._clear = clear

    @property
    def units(self) -> int:
        """The memory that they take up, see `Remembered`."""
        return self._entries.units + self.implicit.units + self._anew.units

    def make(self, entry: Entry, parent: int, path: bytes, name: bytes) -> None:
        """Make the directory that an entry describes."""
        mode = (entry.mode | self._widen) & 0o777
        try:
            os.mkdir(name, mode, dir_fd=parent)
        except FileExistsError:
            self._make_again(parent, path, name, mode)
        self._entries.drop(path)  # the later one of two is finished later
        self._entries[path] = entry

    def _make_again(self, parent: int, path: bytes, name: bytes, mode: int) -> None:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            self._drop(status)
            self._found.add(path)
            return
        parent = self._clear(parent, path)
        os.mkdir(name, mode, dir_fd=parent)
        if is_whiteout(status):
            self._whiteouts.hide_below(parent, name)

    def make_implicit(self, parent: int, name: bytes, path: bytes) -> None:
        """Make a directory that no entry made yet; this is a `confinement.Maker`."""
        hidden = False
        try:
            os.mkdir(name, DEFAULT_MODE, dir_fd=parent)
        except FileExistsError:
            hidden = is_whiteout(os.stat(name, dir_fd=parent, follow_symlinks=False))
            if not hidden:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None
            self._whiteouts.remove(parent, name)
            os.mkdir(name, DEFAULT_MODE, dir_fd=parent)
        if self._metadata.fix & DEFAULT_MODE:
            change_mode(parent, name, DEFAULT_MODE)
        self.implicit[os.stat(name, dir_fd=parent, follow_symlinks=False).st_ino] = path
        if hidden:
            self.hide(parent, name)

    def hide(self, parent: int, name: bytes) -> bool:
        """Hide what lower layers have under a name; tell whether a directory has it that no entry described until now.

        To such a directory nothing applies any more of what a lower layer says.
        """
        status = self._whiteouts.hide(parent, name)
        path = None if status is None else self.implicit.get(status.st_ino)
        if status is None or path is None:
            return False
        self.implicit.drop(status.st_ino)
        self._anew[status.st_ino] = path
        return True

    def forget(self, path: bytes, status: os.stat_result) -> None:
        """Drop what is remembered of a directory that is gone."""
        self._entries.drop(path)
        self._found.discard(path)
        self._drop(status)

    def _drop(self, status: os.stat_result) -> None:
        self.implicit.drop(status.st_ino)
        self._anew.drop(status.st_ino)

    def finish(self, root: Root) -> Iterator[bytes]:
        """Give every directory the metadata of its entry; yield the name of each entry before that."""
        for path, entry in self._entries.items():
            yield entry.name
            try:
                self._finish(root, path, entry)
            except OSError as error:
                # It was removed through a symlink, perhaps for one that leads in a circle: nothing is left to describe.
                if error.errno not in _GONE:
                    raise
        if self.root_entry is not None:
            yield self.root_entry.name
            self._metadata.finish_directory(root.descriptor, b"", self.root_entry)

    def _finish(self, root: Root, path: bytes, entry: Entry) -> None:
        above, _, name = path.rpartition(b"/")
        parent = root.directory(above, create=False)
        if path not in self._found and self._metadata.is_plain_directory(entry):
            os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)
            return
        descriptor = os.open(name, LISTED, dir_fd=parent)
        try:
            self._metadata.finish_directory(descriptor, path, entry)
        finally:
            os.close(descriptor)

    def count(self, root: Root, footprint: Footprint) -> None:
        """Count the space of the directories, now that they are full."""
        footprint.add_directory(os.fstat(root.descriptor))
        for path in (*self._entries, *self.implicit.values(), *self._anew.values()):
            above, _, name = path.rpartition(b"/")
            try:
                parent = root.directory(above, create=False)
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _GONE:
                    raise
            else:
                footprint.add_directory(status)
