"""The layer between an image and a container: empty places for what a runtime mounts over (moby-behaviour 4.4).

Rule 1: the list, and what gives way to what, are Moby's: a directory stays, a file or a symlink on the way to a
        place or at it gives way to what Headway puts there.
Rule 2: it is made as a tree, over what the image's layers look like, and needs no mount: one way for every driver
        and every user.
Rule 3: a directory that only has something new in it looks as it did, its time included.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from headway.layers.failures import disk_failures
from headway.layers.trees.copying import Copier
from headway.layers.trees.merged import MergedView
from headway.layers.trees.merged_entry import MergedEntry
from headway.layers.trees.xattrs import for_a_mount
from headway.records import LayerReport, Tree

DIRECTORIES = ("dev/pts", "dev/shm", "proc", "sys")
FILES = (".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf")
LINKS = {"etc/mtab": "/proc/mounts"}

_MODE = 0o755


def make_init_layer(trees: Sequence[Tree], directory: Path) -> LayerReport:
    """Make in `directory`, which is new, the init layer over `trees` (bottom first).

    Returns:
        What is known of it beyond its files.

    Raises:
        StoreFullError: No space left.
        StoreError: The disk failed.
    """
    with disk_failures(str(directory)), MergedView(trees) as view:
        directory.mkdir()
        directory.chmod(_MODE)
        return _Making(view, directory).run()


class _Making:
    def __init__(self, view: MergedView, directory: Path) -> None:
        self._view = view
        self._directory = directory
        self._is_root = os.geteuid() == 0
        self._own = (os.geteuid(), os.getegid())
        self._copier = Copier()
        self._existing: dict[str, MergedEntry] = {}
        self._made: set[str] = set()

    def run(self) -> LayerReport:
        for path in DIRECTORIES:
            if not self._is_directory(path):
                self._make_directories(path)
        for path in FILES:
            if not self._is_directory(path):
                self._make_file(self._place(path))
        for path, target in LINKS.items():
            if not self._is_directory(path):
                self._place(path).symlink_to(target)
        for path, entry in reversed(self._existing.items()):
            self._describe(path, entry)
        return self._report()

    def _is_directory(self, path: str) -> bool:
        entry = self._view.lstat(path)
        return entry is not None and stat.S_ISDIR(entry.mode)

    def _place(self, path: str) -> Path:
        self._make_directories(path.rpartition("/")[0])
        return self._directory / path

    def _make_file(self, path: Path) -> None:
        path.touch()
        path.chmod(_MODE)

    def _make_directories(self, path: str) -> None:
        """Make a directory and those above it: one of the image's as it is there, others new."""
        step = ""
        for name in filter(None, path.split("/")):
            step = f"{step}/{name}" if step else name
            if step in self._made:
                continue
            self._made.add(step)
            made = self._directory / step
            made.mkdir()
            made.chmod(_MODE)
            entry = self._view.lstat(step)
            if entry is not None and stat.S_ISDIR(entry.mode):
                self._existing[step] = entry

    def _describe(self, path: str, entry: MergedEntry) -> None:
        """Give a directory all that it has in the image, as far as this user can."""
        made = self._directory / path
        if self._is_root:
            os.chown(made, entry.uid, entry.gid)
            os.chmod(made, stat.S_IMODE(entry.mode))
            self._copier.set_xattrs(path, str(made), for_a_mount(self._view.xattrs(entry)))
        else:
            os.chmod(made, stat.S_IMODE(entry.mode) | stat.S_IRWXU)
        os.utime(made, ns=(entry.mtime_ns, entry.mtime_ns))

    def _report(self) -> LayerReport:
        """Say what a store that is not root's could not put on disk."""
        existing = {} if self._is_root else self._existing
        return LayerReport(
            entries=len(self._made) + len(FILES) + len(LINKS),
            real_modes=tuple((path, stat.S_IMODE(entry.mode)) for path, entry in existing.items()),
            owners=tuple(
                (path, entry.uid, entry.gid) for path, entry in existing.items() if (entry.uid, entry.gid) != self._own
            ),
            xattrs=tuple(
                (path, key, value)
                for path, entry in existing.items()
                for key, value in self._view.xattrs(entry).items()
            ),
        )
