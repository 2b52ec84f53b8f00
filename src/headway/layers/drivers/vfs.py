"""Trees copied to where they are wanted: for users who cannot mount, and file systems that do not stack.

Rule 1: nothing is mounted. A read-only "mount" is a private copy that `unmount` removes; a read-write one is
        the container's file system itself: made once, found again by every later `mount`, never removed here.
Rule 2: which of the two a directory is, and whether its copy is whole, is written beside it, before the copy
        begins. Without that note nothing is ever removed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from headway.errors import ConflictError
from headway.layers.copying import disk_failures
from headway.layers.mounts import sync_file_system
from headway.layers.rootfs import unpack
from headway.records import Tree

_COPYING = "copying"
_READ_ONLY = "read-only"
_READ_WRITE = "read-write"


class VfsDriver:
    """Copies trees: works for every user, on every file system, and shares content where that can.

    The note is ``.<name>.vfs`` in the directory that `target` is in. Two calls for one target must not
    overlap.
    """

    name = "vfs"

    def supported(self, path: Path) -> str | None:
        """Return None: there is always a way to copy."""
        return None

    def mount(
        self, trees: Sequence[Tree], target: Path, *, upper: Path | None = None, work: Path | None = None
    ) -> None:
        """Copy the merged view of `trees` (bottom first) to `target`, which is missing or empty.

        With `upper` and `work`, which stay unused, the copy is the container's: where it is whole already,
        nothing happens. A copy that was interrupted is made anew.

        Raises:
            ConflictError: Something else is in `target`, or a read-only copy is there.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """
        note = _note(target)
        with disk_failures(str(target)):
            state = _read(note)
            if state == _READ_WRITE and upper is not None and work is not None:
                return
            if state == _COPYING:
                _empty(target)
            target.mkdir(parents=True, exist_ok=True)
            if os.listdir(target):
                raise ConflictError(f"{target} is not empty")
            _write(note, _COPYING)
            unpack(trees, target)
            if upper is None or work is None:
                _write(note, _READ_ONLY)
            else:
                sync_file_system(str(target))
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


def _note(target: Path) -> Path:
    return target.parent / f".{target.name}.vfs"


def _read(note: Path) -> str:
    try:
        return note.read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def _write(note: Path, state: str) -> None:
    draft = note.with_name(note.name + "~")
    draft.write_text(state, encoding="ascii")
    draft.replace(note)


def _empty(target: Path) -> None:
    """Remove what is in a directory, even where its own modes forbid that to their owner."""
    if not target.exists():
        return
    for _, names, _, descriptor in os.fwalk(target, follow_symlinks=False):
        for name in names:
            os.chmod(name, 0o700, dir_fd=descriptor)
    for entry in list(os.scandir(target)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
