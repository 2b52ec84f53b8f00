"""Reads and writes files in a root file system for `docker cp` (`interfaces.container_files.FileAccess`)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from headway.container_records import Change, FileStat
from headway.errors import InvalidPathError, NotADirectoryPathError, NotFoundError, RequestError, StoreError
from headway.interfaces.files import TarSource
from headway.layers.compression.expanding import expand
from headway.layers.failures import disk_failures
from headway.layers.rootfs.extraction import extract
from headway.layers.rootfs.files import RootfsFiles
from headway.layers.tar.writer import archive
from headway.layers.trees.changes_tar import changes_archive
from headway.layers.trees.confinement import Root, clamped
from headway.layers.unpacking.made_directories import DEFAULT_MODE
from headway.libc import change_mode


class RootfsAccess:
    """Reads and writes files inside root file systems; see the interface."""

    def stat(self, root: Path, path: str) -> FileStat:
        """Return what is at `path`."""
        with RootfsFiles(root) as files:
            return files.stat(path)

    def archive(self, root: Path, path: str) -> Iterator[bytes]:
        """Yield a tar archive of what is at `path` and below it."""
        with RootfsFiles(root) as files:
            files.stat(path)
            yield from archive(files.members(path))

    def changes(self, root: Path, changes: Iterable[Change]) -> Iterator[bytes]:
        """Yield the tar of a layer that makes these changes."""
        return changes_archive(changes, root)

    def make_directory(self, root: Path, path: str) -> None:
        """Make a directory at `path`, and those above it."""
        raw = os.fsencode(path)
        if b"\0" in raw:
            raise InvalidPathError(path, "it holds a NUL")
        with disk_failures(str(root)):
            opened = Root(root, _make)
        try:
            opened.directory(clamped(raw))
        except OSError as error:
            raise _not_made(error, path) from error
        finally:
            opened.close()

    def extract(
        self,
        root: Path,
        path: str,
        source: TarSource,
        *,
        keep_kinds: bool = False,
        owner: tuple[int, int] | None = None,
    ) -> None:
        """Unpack a tar archive into the directory at `path`."""
        inside = clamped(os.fsencode(path))  # without a slash behind it, for what is no directory is found as well
        with RootfsFiles(root) as files:
            try:
                found = files.stat(os.fsdecode(inside))
            except NotFoundError:
                raise NotFoundError("file", path) from None
            if found.link_target:
                inside = os.fsencode(found.link_target).strip(b"/")
                found = files.stat(found.link_target)
        if not stat.S_ISDIR(found.mode):
            raise NotADirectoryPathError
        extract(expand(source, lambda _: None), root, inside, keep_kinds=keep_kinds, owner=owner)


def _make(parent: int, name: bytes, path: bytes) -> None:
    os.mkdir(name, dir_fd=parent)
    change_mode(parent, name, DEFAULT_MODE)  # whatever the umask is


def _not_made(error: OSError, path: str) -> RequestError | StoreError:
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.ELOOP):
        return NotADirectoryPathError(f"Cannot mkdir: {path} is not a directory")
    if error.errno == errno.ENAMETOOLONG:
        return InvalidPathError(path, os.strerror(error.errno))
    return StoreError(f"cannot make {path!r}: {error.strerror}")
