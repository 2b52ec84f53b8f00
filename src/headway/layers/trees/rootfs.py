"""Write the merged root file system of some trees as plain files.

Rule 1: what comes out is what `umoci unpack` makes of the same image: types, modes, owners, sizes, times,
        link identity, extended attributes, content.
Rule 2: nothing outside the directory is touched, whatever lies in it: it is walked by descriptors that follow
        no symlink, and what stands under a name that is written is removed first, never written through.
Rule 3: a failure leaves the directory as far as it came, and says where that was.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headway.errors import ConflictError
from headway.layers.failures import disk_failures
from headway.layers.trees.copying import CREATE, Copier, Missing
from headway.layers.trees.directories import Directories
from headway.layers.trees.merged import MergedView
from headway.layers.trees.merged_entry import MergedEntry
from headway.layers.trees.xattrs import in_directory
from headway.libc import change_mode
from headway.records import Tree

_ENTERED = stat.S_IRUSR | stat.S_IXUSR  # by `Directories`


class UnpackReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `unpack` wrote, and what this user or this file system could not.

    Attributes:
        entries: Entries written, the root directory included.
        size: Sum of the lengths of the regular files written, hard links once.
        owners: Entries that belong to somebody else than they should.
        modes: Entries whose permissions could not be set.
        devices: Device nodes that are not there.
        xattrs: Extended attributes that are not set; an entry is named once for each.
    """

    entries: int
    size: int
    owners: Missing = Missing()
    modes: Missing = Missing()
    devices: Missing = Missing()
    xattrs: Missing = Missing()


def unpack(trees: Sequence[Tree], directory: Path, *, force: bool = False) -> UnpackReport:
    """Write what `trees` (bottom first) look like together to `directory`, which is created where missing.

    With `force` the directory may hold something already: what stands under a name of the image gives way to
    it, the rest stays. Only a directory that is not empty does not give way to a file.

    Raises:
        ConflictError: The directory is not empty, or with `force`, something in it cannot give way.
        StoreFullError: No space left.
        StoreError: The disk failed.
    """
    with disk_failures(str(directory)):
        directory.mkdir(parents=True, exist_ok=True)
        if not force and os.listdir(directory):
            raise ConflictError(f"{directory} is not empty")
        if _shuts_us_out(status := directory.stat()):
            directory.chmod(stat.S_IMODE(status.st_mode) | stat.S_IRWXU)
    with MergedView(trees) as view, disk_failures(str(directory)), Directories([directory]) as made:
        return _Unpacking(view, made, directory).run()


class _Unpacking:
    def __init__(self, view: MergedView, made: Directories, directory: Path) -> None:
        self._view = view
        self._made = made
        self._directory = directory
        self._copier = Copier()
        self._first_names: dict[tuple[int, int], str] = {}
        self._unfinished: list[MergedEntry] = []
        self._closed: list[MergedEntry] = []  # that would let us in no more, while a link may need a name in them
        self._gives_ownership = os.geteuid() == 0
        self._ids = (os.geteuid(), os.getegid())
        self._entries = 0
        self._size = 0

    def run(self) -> UnpackReport:
        for entry in self._view.walk():
            with disk_failures(f"{self._directory}, at {entry.path or '.'}"):
                self._finish_directories(entry.path)
                self._write(entry)
            self._entries += 1
        self._finish_directories(None)
        for entry in self._closed:
            self._finish_directory(entry)
        return UnpackReport(entries=self._entries, size=self._size, **self._copier.missing)

    def _write(self, entry: MergedEntry) -> None:
        if not entry.path:
            self._unfinished.append(entry)
            return
        parent = self._made.open(0, entry.parent)
        kind = stat.S_IFMT(entry.mode)
        try:
            self._create(kind, entry, parent)
        except FileExistsError:
            parent = self._made.open(0, entry.parent)  # again: making a link has opened others
            if self._gave_way(kind, entry, parent):
                self._create(kind, entry, parent)
        if kind == stat.S_IFDIR:
            self._unfinished.append(entry)

    def _create(self, kind: int, entry: MergedEntry, parent: int) -> None:
        if kind == stat.S_IFDIR:
            os.mkdir(entry.name, 0o700, dir_fd=parent)
            return
        if self._linked(entry, parent):
            return
        if kind == stat.S_IFREG and entry.stored is not None:
            self._file(entry, entry.stored, parent)
        elif kind == stat.S_IFLNK:
            os.symlink(self._view.read_link(entry), entry.name, dir_fd=parent)
            self._describe(entry, parent)
        elif self._copier.node(entry.path, entry.name, parent, entry.mode, entry.rdev):
            self._describe(entry, parent)
        else:
            return  # there is nothing for other names to link to
        if entry.stored is not None and entry.stored.st_nlink > 1:
            self._first_names[entry.tree, entry.stored.st_ino] = entry.path

    def _linked(self, entry: MergedEntry, parent: int) -> bool:
        """Make `entry` a further name of a file that is there already; tell whether it is one."""
        if entry.stored is None or entry.stored.st_nlink == 1:
            return False
        first = self._first_names.get((entry.tree, entry.stored.st_ino))
        if first is None:
            return False
        # Opening the other directory may close `parent`, so both are looked up again, the wanted one last.
        directory, _, name = first.rpartition("/")
        source = os.dup(self._made.open(0, directory))
        try:
            parent = self._made.open(0, entry.parent)
            os.link(name, entry.name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)
        return True

    def _file(self, entry: MergedEntry, status: os.stat_result, parent: int) -> None:
        target = os.open(entry.name, CREATE, 0o600, dir_fd=parent)
        try:
            source = self._view.open_file(entry)
            try:
                self._copier.content(source, target, status)
                self._own(entry, target)
                self._copier.mode(entry.path, target, entry.mode)
                self._copier.set_xattrs(entry.path, target, self._view.xattrs(entry, source))
            finally:
                os.close(source)
            os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(target)
        self._size += status.st_size

    def _describe(self, entry: MergedEntry, parent: int) -> None:
        """Set what an entry that cannot be opened, a symlink or a node, is described by."""
        self._own(entry, entry.name, parent)
        if not stat.S_ISLNK(entry.mode):
            self._copier.mode(entry.path, entry.name, entry.mode, parent)
        self._copier.set_xattrs(entry.path, in_directory(parent, entry.name), self._view.xattrs(entry))
        times = (entry.mtime_ns, entry.mtime_ns)
        os.utime(entry.name, ns=times, dir_fd=parent, follow_symlinks=False)

    def _own(self, entry: MergedEntry, target: int | str, parent: int | None = None) -> None:
        # Root always sets them: a new file's group may be that of a set-group-ID directory.
        if self._gives_ownership or (entry.uid, entry.gid) != self._ids:
            self._copier.owner(entry.path, target, entry.uid, entry.gid, parent)

    def _finish_directories(self, upcoming: str | None) -> None:
        """Describe the directories that `upcoming` is not in, since all that goes into them is there."""
        while self._unfinished:
            entry = self._unfinished[-1]
            if upcoming is not None and (not entry.path or upcoming.startswith(entry.path + "/")):
                return
            self._unfinished.pop()
            if self._gives_ownership or entry.mode & _ENTERED == _ENTERED:
                self._finish_directory(entry)
            else:
                self._closed.append(entry)

    def _finish_directory(self, entry: MergedEntry) -> None:
        with disk_failures(f"{self._directory}, at {entry.path or '.'}"):
            target = self._made.open(0, entry.path)
            self._own(entry, target)
            self._copier.set_xattrs(entry.path, target, self._view.xattrs(entry))
            self._copier.mode(entry.path, target, entry.mode)
            os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns))

    def _gave_way(self, kind: int, entry: MergedEntry, parent: int) -> bool:
        """Clear the name for `entry`; tell whether it still has to be made: a directory may stay."""
        there = os.stat(entry.name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(there.st_mode):
            os.unlink(entry.name, dir_fd=parent)
            return True
        if kind == stat.S_IFDIR:
            if _shuts_us_out(there):
                change_mode(parent, os.fsencode(entry.name), stat.S_IMODE(there.st_mode) | stat.S_IRWXU)
            return False
        try:
            os.rmdir(entry.name, dir_fd=parent)
        except OSError as error:
            raise ConflictError(f"{self._directory}/{entry.path} is a directory that is not empty") from error
        return True


def _shuts_us_out(status: os.stat_result) -> bool:
    """Tell whether we must open a directory of our own first: an earlier unpack gave it the image's mode."""
    is_ours = 0 != os.geteuid() == status.st_uid
    return is_ours and status.st_mode & stat.S_IRWXU != stat.S_IRWXU
