"""Trees copied to where they are wanted: for users who cannot mount, and file systems that do not stack.

Rule 1: nothing is mounted. A read-only "mount" is a private copy that `unmount` removes; a read-write one is
        the container's file system itself: made once, found again by every later `mount`, never removed here.
Rule 2: which of the two a directory is, and whether its copy is whole, is written beside it, before the copy
        begins. Without that note nothing is ever removed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from headway.container_records import Change, RwPlace
from headway.errors import ConflictError, UnsupportedError
from headway.layers.drivers import quota
from headway.layers.drivers.measuring import size_of_changed
from headway.layers.failures import disk_failures
from headway.layers.trees.changes import compare
from headway.layers.trees.merged import MergedView
from headway.layers.trees.rootfs import unpack
from headway.libc import syncfs
from headway.paths import is_there
from headway.records import LayerReport, Tree
from headway.removal import remove

_COPYING = "copying"
_READ_ONLY = "read-only"
_READ_WRITE = "read-write"
_NO_QUOTA = "Filesystem does not support, or has not enabled quotas"


class VfsDriver:
    """Copies trees: works for every user, on every file system, and shares content where that can.

    The note is ``.<name>.vfs`` in the directory that `target` is in. Two calls for one target must not
    overlap.
    """

    name = "vfs"

    def supported(self, path: Path) -> str | None:
        """Return None: there is always a way to copy."""
        return None

    def status(self, path: Path) -> list[tuple[str, str]]:
        """Return nothing: so does Docker."""
        return []

    def mount(self, trees: Sequence[Tree], target: Path) -> None:
        """Copy the merged view of `trees` (bottom first) to `target`, which is missing or empty.

        A copy that was interrupted is made anew.

        Raises:
            ConflictError: Something else is in `target`, or a copy is there.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """
        with disk_failures(str(target)):
            _copy(trees, target)
            _write(_note(target), _READ_ONLY)

    def mount_rw(self, place: RwPlace, trees: Sequence[Tree]) -> None:
        """Copy `trees` to `place.merged` as the container's own files; nothing happens where that is done already.

        Raises:
            HeadwayError: As `mount`.
        """
        note = _note(place.merged)
        with disk_failures(str(place.merged)):
            if _read(note) != _READ_WRITE:
                _copy(trees, place.merged)
                _sync(place.merged)
                _write(note, _READ_WRITE)

    def unmount(self, target: Path) -> None:
        """Remove the content of a read-only copy, whatever was changed in it; keep everything else.

        Raises:
            StoreError: The disk failed.
        """
        note = _note(target)
        with disk_failures(str(target)):
            if _read(note) in (_READ_ONLY, _COPYING):
                _empty(target)
                note.unlink()

    def is_mounted(self, target: Path) -> bool:
        """Tell whether a whole copy is at `target`. A container's is there as long as the container."""
        with disk_failures(str(target)):
            return _read(_note(target)) in (_READ_ONLY, _READ_WRITE)

    def create(self, place: RwPlace, trees: Sequence[Tree], options: Mapping[str, str]) -> None:
        """Copy `trees` to where the container's files will be; the only option is ``size``, where there are quotas.

        Raises:
            UnsupportedError: Another option, or a file system without project quotas.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """
        size = 0
        for key, value in options.items():
            if key.lower() != "size":
                raise UnsupportedError(f"Storage opt {key} not supported")
            size = quota.parse_size(value)
        if size:
            if not quota.is_enforced(place.path):
                raise UnsupportedError(_NO_QUOTA)
            quota.limit(place.path, size)
        self.mount_rw(place, trees)

    def changes(self, place: RwPlace, trees: Sequence[Tree], *, written: bool = False) -> list[Change]:
        """Return how the container's files differ from `trees`; every file's status is looked at.

        With `written`, all their attributes are looked at as well. A copy does not tell what was written: content that
        changed while size and time did not is missed, by Docker's vfs no less than here.

        Raises:
            StoreError: The disk failed.
        """
        copy = Tree(path=place.merged, report=LayerReport(root_entry=True))
        with MergedView(trees) as below, MergedView([copy]) as above:
            return compare(below, above, attributes=written, rootless=os.geteuid() != 0)

    def size(self, place: RwPlace, trees: Sequence[Tree]) -> int:
        """Return the sum of the sizes of what was added or modified, directories aside, hard links once.

        Raises:
            StoreError: The disk failed.
        """
        changes = self.changes(place, trees)
        with disk_failures(str(place.merged)):
            return size_of_changed(place.merged, changes)

    def metadata(self, place: RwPlace, trees: Sequence[Tree]) -> dict[str, str]:
        """Return nothing: so does Docker."""
        return {}


def _note(target: Path) -> Path:
    return target.parent / f".{target.name}.vfs"


def _read(note: Path) -> str:
    try:
        return note.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _write(note: Path, state: str) -> None:
    draft = note.with_name(note.name + "~")
    draft.write_text(state, encoding="utf-8")
    draft.replace(note)


def _copy(trees: Sequence[Tree], target: Path) -> None:
    """Copy the merged view of `trees`, and leave the note at `_COPYING`."""
    note = _note(target)
    if _read(note) == _COPYING:
        _empty(target)
    target.mkdir(parents=True, exist_ok=True)
    if os.listdir(target):
        raise ConflictError(f"{target} is not empty")
    _write(note, _COPYING)
    unpack(trees, target)


def _sync(target: Path) -> None:
    """Make a copy survive a power cut, with whatever else its file system has to write."""
    directory = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syncfs(directory)
    finally:
        os.close(directory)


def _empty(target: Path) -> None:
    """Remove what is in a directory, even where its own modes forbid that to their owner."""
    if not is_there(target):
        return
    target.chmod(stat.S_IMODE(target.stat().st_mode) | stat.S_IRWXU)
    directory = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in os.listdir(directory):
            remove(directory, os.fsencode(name), grant=True)
    finally:
        os.close(directory)
