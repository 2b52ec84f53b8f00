"""Owner, mode, extended attributes and times of what a layer puts on disk, and a record of what could not be put there.

Rule 1: in this order: owner, mode (a chown takes setuid away), extended attributes (a chown takes file capabilities
        away, a chmod changes ACLs), times.
Rule 2: what this user or file system cannot store is recorded, never dropped and never a failure: the tree is then
        completed by whoever merges or mounts it.
Rule 3: a rootless store gives nothing away and keeps u+rw (u+rwx on directories), so that it can read and remove what
        it has; its own files stand for those of root.
Rule 4: overlay's own attributes never come out of a layer. A layer that has some is somebody's snapshot of an overlay;
        they are recorded as its attributes, and mean nothing to our mounts.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from headway.errors import NoSuchOwnerError
from headway.layers.tar.entry import SYMLINK, Entry
from headway.layers.trees.xattrs import OVERLAY
from headway.layers.unpacking.remembered import Remembered
from headway.libc import change_mode

_OVERLAY = tuple(map(os.fsencode, OVERLAY))
_UNSTORABLE = frozenset((errno.ENOTSUP, errno.EPERM, errno.ENOSPC, errno.E2BIG, errno.ERANGE))
_SPECIAL = 0o7000


class Metadata:
    """Applies metadata for one layer.

    Args:
        rootless: Whether the store belongs to a user who cannot give files away.
        umask: What is taken from the modes that open(2) and mkdir(2) are given.

    Attributes:
        fix: Mode bits that need a chmod after creation.
        widen: Mode bits that each file gets anyway.
        modes: Real modes by path, where they were widened.
        owners: Owners by path that could not be given; those of root are left out.
        xattrs: Extended attributes by path that could not be set.
    """

    def __init__(self, *, rootless: bool, umask: int) -> None:
        self.fix = _SPECIAL | umask
        self.widen = 0o600 if rootless else 0
        self.modes: Remembered[bytes, int] = Remembered(_path_length)
        self.owners: Remembered[bytes, tuple[int, int]] = Remembered(_path_length)
        self.xattrs: Remembered[bytes, dict[bytes, bytes]] = Remembered(
            lambda path, xattrs: len(path) + sum(len(key) + len(value) for key, value in xattrs.items())
        )
        self._rootless = rootless
        self._own = (0, 0) if rootless else (os.geteuid(), os.getegid())

    @property
    def units(self) -> int:
        """What the records take up, see `Remembered`."""
        return self.modes.units + self.owners.units + self.xattrs.units

    def is_plain(self, entry: Entry) -> bool:
        """Tell whether a file made with ``entry.mode | widen`` needs nothing but its times."""
        return (
            not entry.mode & self.fix
            and (entry.uid, entry.gid) == self._own
            and entry.mode & self.widen == self.widen
            and not entry.xattrs
        )

    def finish_file(self, descriptor: int, path: bytes, entry: Entry) -> None:
        """Give an open file all but its times."""
        if self._must_chown(path, entry):
            _give(descriptor, path, entry)
        mode = self._stored_mode(path, entry, self.widen)
        if mode & self.fix:
            os.fchmod(descriptor, mode)
        self._set_xattrs(descriptor, path, entry.xattrs)

    def is_plain_directory(self, entry: Entry) -> bool:
        """The same for a directory made with ``entry.mode``."""
        return self.is_plain(entry) and (entry.mode & 0o100 != 0 or not self._rootless)

    def finish_directory(self, descriptor: int, path: bytes, entry: Entry) -> None:
        """Give an open directory everything."""
        if self._must_chown(path, entry):
            _give(descriptor, path, entry)
        os.fchmod(descriptor, self._stored_mode(path, entry, 0o700 if self._rootless else 0))
        self._set_xattrs(descriptor, path, entry.xattrs)
        os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))

    def finish_node(self, parent: int, name: bytes, path: bytes, entry: Entry) -> None:
        """Give what cannot be opened (a symlink, fifo or device, just made) everything."""
        if self._must_chown(path, entry):
            _give(name, path, entry, parent)
        if entry.kind != SYMLINK:
            mode = self._stored_mode(path, entry, self.widen)
            if mode & self.fix:
                change_mode(parent, name, mode)
        if entry.xattrs:
            self._set_xattrs(b"/proc/self/fd/%d/%s" % (parent, name), path, entry.xattrs)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)

    def make_device(self, parent: int, name: bytes, mode: int, device: int) -> bool:
        """Make a device node; tell whether we may."""
        if self._rootless:
            return False
        try:
            os.mknod(name, mode, device, dir_fd=parent)
        except PermissionError:
            return False
        return True

    def describe(self, path: bytes, entry: Entry) -> None:
        """Record owner and attributes of what is not on disk."""
        if (entry.uid, entry.gid) != (0, 0):
            self.owners[path] = (entry.uid, entry.gid)
        if entry.xattrs:
            self.xattrs[path] = dict(entry.xattrs)

    def share(self, path: bytes, target: bytes) -> None:
        """Take note that `path` is another name of the file at `target`."""
        if target in self.modes:
            self.modes[path] = self.modes[target]
        if target in self.owners:
            self.owners[path] = self.owners[target]
        if target in self.xattrs:
            self.xattrs[path] = self.xattrs[target]

    def forget(self, path: bytes) -> None:
        """Drop the records of what was at `path`."""
        self.modes.drop(path)
        self.owners.drop(path)
        self.xattrs.drop(path)

    def _must_chown(self, path: bytes, entry: Entry) -> bool:
        if (entry.uid, entry.gid) == self._own:
            self.owners.drop(path)
            return False
        if self._rootless:
            self.owners[path] = (entry.uid, entry.gid)
        return not self._rootless

    def _stored_mode(self, path: bytes, entry: Entry, widen: int) -> int:
        mode = entry.mode | widen
        if mode != entry.mode:
            self.modes[path] = entry.mode
        else:
            self.modes.drop(path)
        return mode

    def _set_xattrs(self, target: int | bytes, path: bytes, xattrs: Mapping[bytes, bytes]) -> None:
        if unstored := {key: value for key, value in xattrs.items() if not self._set_xattr(target, key, value)}:
            self.xattrs[path] = unstored
        else:
            self.xattrs.drop(path)

    def _set_xattr(self, target: int | bytes, key: bytes, value: bytes) -> bool:
        if key.startswith(_OVERLAY) or (self._rootless and not key.startswith(b"user.")):
            return False
        try:
            os.setxattr(target, key, value, follow_symlinks=isinstance(target, int))
        except OSError as error:
            if error.errno not in _UNSTORABLE:
                name = key.decode("utf-8", "replace")
                raise OSError(error.errno, f"its extended attribute {name}: {error.strerror}") from error
            return False
        return True


def _give(target: int | bytes, path: bytes, entry: Entry, parent: int | None = None) -> None:
    """Give what was just made, open or in an open directory, to its owner.

    Raises:
        NoSuchOwnerError: There is none of that number where this process is.
        OSError: As chown(2).
    """
    try:
        os.chown(target, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=parent is None)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise NoSuchOwnerError(os.fsdecode(path), entry.uid, entry.gid) from error


def _path_length(path: bytes, _: object) -> int:
    return len(path)
