"""Makes the files of a layer that is being unpacked: regular ones, symlinks, FIFOs and devices.

Each is new, and whatever had its name is removed first (`unpacker`, rule 1).

Rule: a layer's own 0:0 device is recorded, and a whiteout on disk, since no mount can show it; a device that this user
      cannot make is recorded and not made.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from headway.layers.tar.entry import CHAR, Entry, refused
from headway.layers.tar.observer import Observer
from headway.layers.trees.footprint import Footprint
from headway.layers.trees.whiteouts import Whiteouts
from headway.layers.unpacking.absent import Absent
from headway.layers.unpacking.bodies import write, write_sparse
from headway.layers.unpacking.made_directories import Clear
from headway.layers.unpacking.metadata import Metadata
from headway.layers.unpacking.worker import NEW_FILE


class MadeFiles:
    """Makes them. Nearly every method takes an entry, its parent directory, open, and its path and name in the layer.

    Args:
        metadata: Applies what entries say.
        footprint: Counts what is made.
        absent: Records devices that are not made.
        whiteouts: Hides what is below a layer's own 0:0 device; None if what is unpacked is no layer.
        clear: See `Clear`.
        observer: Called for sparse files.

    Raises:
        InvalidLayerError: From every method: the entry cannot be made.
        OSError: From every method: a system call failed.
    """

    def __init__(
        self,
        metadata: Metadata,
        footprint: Footprint,
        absent: Absent,
        whiteouts: Whiteouts | None,
        *,
        clear: Clear,
        observer: Observer | None,
    ) -> None:
        self._metadata = metadata
        self._footprint = footprint
        self._absent = absent
        self._whiteouts = whiteouts
        self._clear = clear
        self._observer = observer

    def make(self, entry: Entry, parent: int, path: bytes, name: bytes, body: Iterable[memoryview]) -> None:
        """Make a regular file with the content `body`."""
        metadata = self._metadata
        mode = (entry.mode | metadata.widen) & 0o777
        try:
            descriptor = os.open(name, NEW_FILE, mode, dir_fd=parent)
        except FileExistsError:
            descriptor = os.open(name, NEW_FILE, mode, dir_fd=self._clear(parent, path))
        try:
            if entry.sparse is None:
                write(descriptor, body)
            else:
                if self._observer is not None:
                    self._observer.sparse(descriptor)
                write_sparse(descriptor, body, entry.sparse, entry.size)
            if not metadata.is_plain(entry):
                metadata.finish_file(descriptor, path, entry)
            os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
            self._footprint.add_file(entry, descriptor)
        finally:
            os.close(descriptor)

    def make_symlink(self, entry: Entry, parent: int, path: bytes, name: bytes) -> None:
        """Make a symlink, wherever it leads."""
        if not entry.linkname:
            raise refused(entry.name, "it is a symlink to nowhere")
        try:
            os.symlink(entry.linkname, name, dir_fd=parent)
        except FileExistsError:
            parent = self._clear(parent, path)
            os.symlink(entry.linkname, name, dir_fd=parent)
        self._metadata.finish_node(parent, name, path, entry)
        self._footprint.add_symlink(len(entry.linkname), parent, name)

    def make_fifo(self, entry: Entry, parent: int, path: bytes, name: bytes) -> None:
        """Make a FIFO."""
        mode = (entry.mode | self._metadata.widen) & 0o777
        try:
            os.mkfifo(name, mode, dir_fd=parent)
        except FileExistsError:
            parent = self._clear(parent, path)
            os.mkfifo(name, mode, dir_fd=parent)
        self._footprint.add_name()
        self._metadata.finish_node(parent, name, path, entry)

    def make_device(self, entry: Entry, parent: int, path: bytes, name: bytes) -> None:
        """Make a device node, or record that there should be one."""
        major, minor = entry.device
        kind = stat.S_IFCHR if entry.kind == CHAR else stat.S_IFBLK
        mode = kind | ((entry.mode | self._metadata.widen) & 0o777)
        parent = self._clear(parent, path)
        is_whiteout = self._whiteouts is not None and (kind, major, minor) == (stat.S_IFCHR, 0, 0)
        if is_whiteout or not self._metadata.make_device(parent, name, mode, os.makedev(major, minor)):
            self.add_absent(parent, path, (kind | entry.mode, major, minor))
            self._metadata.describe(path, entry)
        else:
            self._footprint.add_name()
            self._metadata.finish_node(parent, name, path, entry)

    def add_absent(self, parent: int, path: bytes, record: tuple[int, int, int]) -> None:
        """Record a device by its mode, major and minor; nothing has its name."""
        self._absent.add_device(path, *record)
        if self._whiteouts is not None and stat.S_ISCHR(record[0]) and record[1:] == (0, 0):
            self._whiteouts.hide(parent, path.rpartition(b"/")[2])
