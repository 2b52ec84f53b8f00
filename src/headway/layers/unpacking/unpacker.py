"""Puts the entries of a layer's tar on disk, one after the other, as overlay2 wants to find them.

Rule 1: what an entry makes is always new (O_EXCL, mkdir, symlink, link, mknod); what had its name is removed first, but
        for a directory that meets a directory.
Rule 2: a whiteout speaks of lower layers only (image-spec, layer.md, "Whiteouts"): what this layer itself holds stays,
        whichever comes first. A directory that was whited out and made is one that hides what is below: opaque.
Rule 3: a whiteout on disk is ours: a layer's own 0:0 device is recorded, and hides what is below it, since no mount can
        show it; overlay attributes are recorded and not made.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Self

from headway.errors import InvalidLayerError
from headway.layers.tar.entry import BLOCKDEV, CHAR, DIRECTORY, FIFO, FILE, HARDLINK, SYMLINK, Entry, refused
from headway.layers.tar.limits import DEFAULT_LIMITS, Limits
from headway.layers.tar.observer import Observer
from headway.layers.tar.reader import TarReader
from headway.layers.trees.confinement import Root, clamped
from headway.layers.trees.footprint import Footprint
from headway.layers.trees.whiteouts import (
    WHITEOUT,
    WHITEOUT_LINKS,
    WHITEOUT_META,
    WHITEOUT_OPAQUE,
    Whiteouts,
    is_whiteout,
)
from headway.layers.unpacking.absent import Absent
from headway.layers.unpacking.handoff import LARGEST, HandoffMaker, alone
from headway.layers.unpacking.hollow import Hollow
from headway.layers.unpacking.made_directories import DEFAULT_MODE, MadeDirectories
from headway.layers.unpacking.made_files import MadeFiles
from headway.layers.unpacking.metadata import Metadata
from headway.layers.unpacking.umask import current_umask
from headway.layers.unpacking.unpacked_report import report_of
from headway.records import LayerReport
from headway.removal import Removing, remove


class Unpacker:
    """Unpacks one layer into one empty directory. A context manager, for it keeps descriptors.

    Args:
        directory: It exists; its own mode becomes 0755, as Docker makes a layer's root, unless an entry says more.
        rootless: As for `Metadata`.
        layer: False for an archive that is no layer, put into a root file system that is there: its directory stays
            as it is, and what would be a whiteout, in the archive or on disk, is a file like all others.
        openat2: As for `Root`.
        limits: What makes a layer hostile.
        observer: Told of contents that do not go to their entry's path, and of what is removed again.
        hand_off: Where small files go.

    Attributes:
        name: Of the entry that is being put on disk, for messages; None before the first.

    Raises:
        InvalidLayerError: From every method: the layer contradicts itself or asks for what cannot be.
        OSError: From every method: a system call failed.
    """

    def __init__(
        self,
        directory: Path,
        *,
        rootless: bool,
        openat2: bool | None,
        limits: Limits = DEFAULT_LIMITS,
        observer: Observer | None = None,
        layer: bool = True,
        hand_off: HandoffMaker = alone,
    ) -> None:
        umask = current_umask()
        self.name: bytes | None = None
        self._limit = limits.remembered
        self._observer = observer
        self._metadata = Metadata(rootless=rootless, umask=umask)
        self._footprint = Footprint(os.statvfs(directory).f_frsize)
        self._whiteouts = Whiteouts(self._footprint, rootless=rootless)
        self._handoff = hand_off(self._footprint)
        self._absent = Absent()
        self._files = MadeFiles(
            self._metadata,
            self._footprint,
            self._absent,
            self._whiteouts if layer else None,
            clear=self._clear,
            observer=observer,
        )
        self._directories = MadeDirectories(self._metadata, self._whiteouts, rootless=rootless, clear=self._clear)
        self._root = Root(directory, self._make_implicit, kernel=openat2)
        self._hollow = Hollow(self._root, self._directories, self._absent)
        self._is_layer = layer
        if layer:
            os.fchmod(self._root.descriptor, DEFAULT_MODE)
        self._makers = {
            DIRECTORY: self._directories.make,
            SYMLINK: self._files.make_symlink,
            HARDLINK: self._hardlink,
            FIFO: self._files.make_fifo,
            CHAR: self._files.make_device,
            BLOCKDEV: self._files.make_device,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._handoff.close()
        self._root.close()
        # Its parts hold methods of it: a ring, in which a layer's memory would stay until the next search for garbage.
        del self._files, self._directories, self._root, self._hollow, self._makers

    def add(self, entry: Entry, reader: TarReader) -> None:
        """Put one entry on disk; the content of a file is taken from `reader`."""
        self.name = entry.name
        path = clamped(entry.name)
        above, _, name = path.rpartition(b"/")
        if WHITEOUT in path and self._is_whiteout_entry(entry, path, above, name):
            if self._observer is not None:
                self._observer.nowhere()
            self._white_out(entry, above, name)
            return
        parent, is_new = self._directory(above, path)
        if self._absent and self._absent.forget(path):
            self._metadata.forget(path)
        if not name:
            self._describe_root(entry)
        elif entry.kind == FILE:
            self._add_file(entry, parent, path, reader, is_new=is_new)
        elif (make := self._makers.get(entry.kind)) is not None:
            make(entry, parent, path, name)
        else:
            raise refused(entry.name, f"its kind {entry.kind!r} is not known")

    def _is_whiteout_entry(self, entry: Entry, path: bytes, above: bytes, name: bytes) -> bool:
        """Tell whether an entry speaks of other files, or is aufs' own: then it is not put on disk."""
        if not self._is_layer or (above == WHITEOUT_LINKS and entry.kind == FILE):
            return False
        return name.startswith(WHITEOUT) or path.startswith(WHITEOUT_META)

    def _directory(self, above: bytes, path: bytes) -> tuple[int, bool]:
        """Return the descriptor of the directory `above`, and whether surely nothing in the layer had `path` before.

        That is not known behind a symlink. What was handed over under that path is there by then.
        """
        parent = self._root.directory(above)
        handoff = self._handoff
        has_detour = above in self._root.detours
        if handoff.paths and (path in handoff.paths or handoff.undone or has_detour):
            parent = self._settle(above)
        if has_detour:
            handoff.note(self._direct(path))
            return parent, False
        return parent, handoff.note(path)

    def _settle(self, above: bytes = b"") -> int:
        """Have everything on disk that was handed over; return the descriptor of the directory `above`."""
        for entry, path, content in self._handoff.settle():
            self.name = entry.name
            parent, _, name = path.rpartition(b"/")
            self._files.make(entry, self._root.directory(parent), path, name, (memoryview(content),))
        return self._root.directory(above)

    def finish(self, entries: int) -> LayerReport:
        """Finish the directories and return what was found out; `entries` is how many came."""
        self._settle()
        if self._is_layer:
            self._clear(self._root.descriptor, WHITEOUT_LINKS)
        self.check_memory()
        for name in self._directories.finish(self._root):
            self.name = name
        self._directories.count(self._root, self._footprint)
        return report_of(self._footprint, self._directories, self._absent, self._metadata, entries=entries)

    def check_memory(self) -> None:
        """Make sure that what is remembered until the end stays within the limit; to be called now and then."""
        if self._directories.units + self._absent.units + self._metadata.units > self._limit:
            raise InvalidLayerError(
                f"a layer whose directories, and entries that cannot be stored as they are, take up more than "
                f"{self._limit} half kilobytes"
            )

    # --- kinds of entries ---

    def _add_file(self, entry: Entry, parent: int, path: bytes, reader: TarReader, *, is_new: bool) -> None:
        """Make a file, here or, if it is new, small and needs nothing but a mode and a time, in another process."""
        above, _, name = path.rpartition(b"/")
        body = reader.body()
        if self._observer is not None and above in self._root.detours:
            self._observer.elsewhere(self._direct(path))
        if (
            is_new
            and entry.size <= LARGEST
            and entry.sparse is None
            and self._metadata.is_plain(entry)
            and self._handoff.take(entry, parent, path, body)
        ):
            return
        self._files.make(entry, parent, path, name, body)

    def _hardlink(self, entry: Entry, parent: int, path: bytes, name: bytes) -> None:
        parent = self._settle(path.rpartition(b"/")[0])  # what it is a name of may be on its way
        target = clamped(entry.linkname)
        above, _, target_name = target.rpartition(b"/")
        if not target_name:
            raise refused(entry.name, "it is a hard link to a directory")
        try:
            source = self._root.directory(above, create=False)
            status = os.stat(target_name, dir_fd=source, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            status = None
        if status is None or (self._is_layer and is_whiteout(status)):
            self._link_to_absent(parent, path, target)
            return
        if stat.S_ISDIR(status.st_mode):
            raise refused(entry.name, "it is a hard link to a directory")
        if self._is_same(parent, name, status):
            return
        parent = self._clear(parent, path)
        source = self._root.directory(above, create=False)
        os.link(target_name, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        self._footprint.add_name()
        self._metadata.share(path, target)

    def _link_to_absent(self, parent: int, path: bytes, target: bytes) -> None:
        """Record another name of what is not in the tree: a device that could not be made, or a lower file."""
        record = self._absent.get(target)
        parent = self._clear(parent, path)
        if isinstance(record, tuple):
            self._files.add_absent(parent, path, record)
            self._metadata.share(path, target)
        else:  # what is another name of a link is one more link to the same file, whatever becomes of the first
            self._absent.add_link(path, target if record is None else record)

    # --- what other layers see ---

    def _white_out(self, entry: Entry, above: bytes, name: bytes) -> None:
        """Do what a whiteout says (image-spec, layer.md, "Whiteouts"); aufs' own files are left out."""
        hidden = name[len(WHITEOUT) :]
        if name != WHITEOUT_OPAQUE and (name.startswith(WHITEOUT_META) or above.startswith(WHITEOUT_META)):
            return
        if hidden in (b"", b".", b".."):
            raise refused(entry.name, "it is a whiteout of nothing")
        self._settle()  # what it hides, or what its directory should be, may be on its way
        try:
            parent = self._root.directory(above, create=False)
        except FileNotFoundError:
            parent = self._root.directory(above)
        except NotADirectoryError:
            # umoci names what a directory held that a file replaces. The file hides it, and a whiteout does as well.
            return
        if name == WHITEOUT_OPAQUE:
            self._whiteouts.hide_below(parent, None)
        else:
            self._hide(parent, above + b"/" + hidden if above else hidden, hidden)

    def _hide(self, parent: int, path: bytes, name: bytes) -> None:
        """Hide what lower layers have at `path`.

        Where a directory is there only because of whiteouts inside, which some tools write before its own, it goes.
        """
        self._handoff.note(path)
        if self._directories.hide(parent, name) and self._hollow.is_hollow(self._direct(path)):
            parent = self._root.directory(path.rpartition(b"/")[0])  # again: looking has opened others
            self._directories.hide(self._clear(parent, path), name)

    # --- directories ---

    def _describe_root(self, entry: Entry) -> None:
        if entry.kind != DIRECTORY:
            raise refused(entry.name, "it would replace the root directory")
        self._directories.root_entry = entry

    def _make_implicit(self, parent: int, name: bytes, path: bytes) -> None:
        """Make a directory that no entry made yet: see `confinement.Maker`."""
        if self._directories.units >= self._limit:
            self.check_memory()  # one entry may bring as many as its name has slashes
        if path in self._handoff.paths:
            self._settle()
        self._handoff.note(path)
        if self._absent.forget(path):
            self._metadata.forget(path)
        self._directories.make_implicit(parent, name, path)

    # --- replacing ---

    def _clear(self, parent: int, path: bytes) -> int:
        """Remove what has an entry's name, if anything; return its parent's descriptor, maybe another one now."""
        if self._handoff.paths:  # there may be some of them below it
            parent = self._settle(path.rpartition(b"/")[0])
        try:
            status = remove(parent, path, self._forget, self._removing(path))
        except FileNotFoundError:
            return parent
        if stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode):
            above = self._direct(path).rpartition(b"/")[0]  # what is gone may have been the symlink on the way there
            self._root.forget()
            return self._root.directory(above)
        return parent

    def _removing(self, path: bytes) -> Removing | None:
        """Return what is told of the removal of `path` and all below it."""
        observer = self._observer
        if observer is None:
            return None
        direct = self._direct(path)
        return lambda parent, each, status: observer.removing(parent, direct + each[len(path) :], status)

    def _direct(self, path: bytes) -> bytes:
        """Return where an entry is whose parent was just opened: its path without a symlink on the way."""
        above, slash, name = path.rpartition(b"/")
        above = self._root.detours.get(above, above)
        return above + slash + name if above else name

    def _forget(self, path: bytes, status: os.stat_result) -> None:
        self._footprint.remove(status)
        self._metadata.forget(path)
        if stat.S_ISDIR(status.st_mode):
            for absent in self._absent.forget_in(path):
                self._metadata.forget(absent)
            self._directories.forget(path, status)
            self._hollow.forget(status)

    @staticmethod
    def _is_same(parent: int, name: bytes, status: os.stat_result) -> bool:
        """Tell whether `name` is a name of the file that `status` is of: a link to itself changes nothing."""
        try:
            own = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(own, status)
