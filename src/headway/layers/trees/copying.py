"""How one file gets from a tree to another place: content, owner, mode, times, extended attributes.

Rule 1: as few system calls as the result allows, and bytes are shared with the original where the file system
        can.
Rule 2: what this user or file system cannot set is counted and named, never silently dropped, and never stops
        the rest.
Rule 3: a full disk and a broken one do stop it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from headway.layers.trees.directories import READ
from headway.layers.trees.xattrs import in_directory, read_xattrs

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_FICLONE = 0x40049409
_CANNOT_SHARE = {errno.EXDEV, errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.ENOSYS, errno.EPERM}
_CANNOT_SET = {
    errno.EPERM,
    errno.EACCES,
    errno.EOPNOTSUPP,
    errno.EINVAL,
    errno.ENOSPC,
    errno.E2BIG,
    errno.ERANGE,
}
_NAMED = 100
_MOST_AT_ONCE = 1 << 30


class Missing(msgspec.Struct, frozen=True):
    """Something that could not be set.

    Attributes:
        count: On how many entries.
        names: Their paths, the first hundred.
    """

    count: int = 0
    names: tuple[str, ...] = ()

    def and_also(self, path: str) -> Missing:
        """Return this with one more entry."""
        return Missing(self.count + 1, (*self.names, path) if self.count < _NAMED else self.names)


class Copier:
    """Copies files and their metadata, and remembers what this file system and user cannot do.

    Attributes:
        missing: What could not be set, by kind: ``owners``, ``modes``, ``devices``, ``xattrs``.
    """

    def __init__(self) -> None:
        self.missing: dict[str, Missing] = {}
        self._can_clone = True
        self._can_copy = True

    def content(self, source: int, target: int, status: os.stat_result) -> None:
        """Copy a regular file's bytes; holes stay holes."""
        size = status.st_size
        if size == 0 or self._cloned(source, target):
            return
        if status.st_blocks * 512 >= size:
            self._range(source, target, 0, size)
            return
        os.truncate(target, size)
        for start, end in _data(source, size):
            self._range(source, target, start, end)

    def duplicate(
        self, directory: int, name: str, status: os.stat_result, target_directory: int, target_name: str
    ) -> None:
        """Copy what is no directory, with everything that describes it on disk.

        Raises:
            OSError: Anything of it could not be copied, or the name is taken.
        """
        if stat.S_ISREG(status.st_mode):
            with (
                _opened(name, READ, directory) as source,
                _opened(target_name, CREATE, target_directory) as target,
            ):
                self.content(source, target, status)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=directory), target_name, dir_fd=target_directory)
        else:
            os.mknod(target_name, stat.S_IFMT(status.st_mode), status.st_rdev, dir_fd=target_directory)
        os.chown(target_name, status.st_uid, status.st_gid, dir_fd=target_directory, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(target_name, stat.S_IMODE(status.st_mode), dir_fd=target_directory)
        there = in_directory(target_directory, target_name)
        for key, value in read_xattrs(in_directory(directory, name)).items():
            os.setxattr(there, key, value, follow_symlinks=False)
        times = (status.st_mtime_ns, status.st_mtime_ns)
        os.utime(target_name, ns=times, dir_fd=target_directory, follow_symlinks=False)

    def set_xattrs(self, path: str, target: int | str, values: Mapping[str, bytes]) -> None:
        """Set extended attributes of a descriptor, or of a path whose last component is not followed.

        `path` names it in reports.
        """
        for key, value in values.items():
            try:
                if isinstance(target, int):
                    os.setxattr(target, key, value)
                else:
                    os.setxattr(target, key, value, follow_symlinks=False)
            except OSError as error:
                self._cannot("xattrs", path, error)

    def owner(self, path: str, target: int | str, uid: int, gid: int, parent: int | None = None) -> None:
        """Set owner and group, of a descriptor or of a name in the directory `parent`."""
        try:
            if parent is None:
                os.chown(target, uid, gid)
            else:
                os.chown(target, uid, gid, dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            self._cannot("owners", path, error)

    def mode(self, path: str, target: int | str, mode: int, parent: int | None = None) -> None:
        """Set permissions, of a descriptor or of a name in the directory `parent` that is not a symlink."""
        try:
            os.chmod(target, stat.S_IMODE(mode), dir_fd=parent)
        except OSError as error:
            self._cannot("modes", path, error)

    def node(self, path: str, name: str, parent: int, mode: int, rdev: int) -> bool:
        """Make a device node, a fifo or a socket without permissions; tell whether it is there now.

        Raises:
            FileExistsError: The name is taken.
        """
        try:
            os.mknod(name, stat.S_IFMT(mode), rdev, dir_fd=parent)
        except PermissionError as error:
            self._cannot("devices", path, error)
            return False
        return True

    def _cannot(self, kind: str, path: str, error: OSError) -> None:
        if error.errno not in _CANNOT_SET:
            raise error
        self.missing[kind] = self.missing.get(kind, Missing()).and_also(path)

    def _cloned(self, source: int, target: int) -> bool:
        if not self._can_clone:
            return False
        try:
            fcntl.ioctl(target, _FICLONE, source)
        except OSError as error:
            if error.errno not in _CANNOT_SHARE:
                raise
            self._can_clone = False
        return self._can_clone

    def _range(self, source: int, target: int, start: int, end: int) -> None:
        while start < end:
            moved = self._moved(source, target, start, min(end - start, _MOST_AT_ONCE))
            if moved == 0:
                raise OSError(errno.EIO, "a file became shorter while it was copied")
            start += moved

    def _moved(self, source: int, target: int, start: int, length: int) -> int:
        """Copy some bytes at `start`, and return how many."""
        if self._can_copy:
            try:
                return os.copy_file_range(source, target, length, start, start)
            except OSError as error:
                if error.errno not in _CANNOT_SHARE:
                    raise
                self._can_copy = False
        os.lseek(target, start, os.SEEK_SET)
        return os.sendfile(target, source, start, length)


@contextmanager
def _opened(name: str, flags: int, directory: int) -> Iterator[int]:
    descriptor = os.open(name, flags, 0o600, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _data(source: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a file that are not holes."""
    end = 0
    while end < size:
        try:
            start = os.lseek(source, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole up to the end
                return
            raise
        end = os.lseek(source, start, os.SEEK_HOLE)
        yield start, min(end, size)
