"""The tree of a layer that does not stand alone, while it is made; `derive` says what goes where.

Rule: files get names here, by hard links as far as the file system can, and content is copied where it cannot. What has
      a name keeps it, but for a whiteout, which gives way to anything else.
"""

from __future__ import annotations

import errno
import os
import stat

from headway.errors import InvalidLayerError
from headway.layers.trees.copying import Copier
from headway.layers.trees.directories import Directories
from headway.layers.trees.whiteouts import is_whiteout
from headway.layers.trees.xattrs import own_prefix, read_xattrs

_UNDESCRIBED = 0o755
_CANNOT_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}


class DerivedTree:
    """Puts directories and files into a new tree. Paths are relative, and the directory that they are in is there.

    Args:
        directories: Opens those of the new tree, which is their only root.

    Attributes:
        disk_bytes: What the tree takes up beyond what it shares; its directories only count once it is finished.
        links: Names that were linked within the tree, each with the one that was there: (first, path), in order.

    Raises:
        OSError: From every method: a system call failed.
    """

    def __init__(self, directories: Directories) -> None:
        self.disk_bytes = 0
        self.links: list[tuple[str, str]] = []
        self._directories = directories
        self._copier = Copier()
        self._times: dict[str, int] = {}
        self._copied: dict[int, str] = {}  # where files went that could not be linked, by inode

    def finish(self) -> None:
        """Set the times of directories, which nothing goes into any more."""
        for path, mtime_ns in self._times.items():
            directory = self._directories.open(0, path)
            os.utime(directory, ns=(mtime_ns, mtime_ns))
            self.disk_bytes += 512 * os.stat(directory).st_blocks

    # --- directories ---

    def make_directory(self, path: str) -> bool:
        """Make a directory unless it is there; tell whether it is new. One that replaces a whiteout is opaque.

        Raises:
            InvalidLayerError: A file has the name.
        """
        parent, _, name = path.rpartition("/")
        directory = self._directories.open(0, parent)
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            self._new_directory(path, name, directory)
            return True
        if stat.S_ISDIR(status.st_mode):
            return False
        if not is_whiteout(status):
            raise InvalidLayerError(f"{path} is both a directory and a file of one layer")
        os.unlink(name, dir_fd=directory)
        self._new_directory(path, name, directory)
        self.make_opaque(path)
        return True

    def _new_directory(self, path: str, name: str, directory: int) -> None:
        """Make a directory as one that no layer describes: 0755, and the group of a set-group-ID parent."""
        os.mkdir(name, _UNDESCRIBED, dir_fd=directory)
        made = self._directories.open(0, path)
        status = os.stat(made)
        os.chmod(made, _UNDESCRIBED | (status.st_mode & stat.S_ISGID))  # whatever the umask
        self._times[path] = status.st_mtime_ns

    def make_opaque(self, path: str) -> None:
        """Hide what the directory would show of those below."""
        os.setxattr(self._directories.open(0, path), own_prefix() + "opaque", b"y")

    def describe(self, path: str, like: int, status: os.stat_result) -> None:
        """Give a directory what another one has.

        Args:
            path: Of the directory.
            like: A descriptor of the other one.
            status: Of that.
        """
        target = self._directories.open(0, path)
        os.chown(target, status.st_uid, status.st_gid)
        os.chmod(target, stat.S_IMODE(status.st_mode))
        for key, value in read_xattrs(like).items():
            os.setxattr(target, key, value)
        self._times[path] = status.st_mtime_ns

    def describe_root(self, mode: int, mtime_ns: int) -> None:
        """Give the root what nothing on disk has."""
        os.chmod(self._directories.open(0, ""), stat.S_IMODE(mode))
        self._times[""] = mtime_ns

    # --- files ---

    def share(self, directory: int, name: str, status: os.stat_result, path: str) -> None:
        """Give a file of another tree the name `path` here, unless that is taken.

        Args:
            directory: Where the file is.
            name: What it is called there.
            status: Of it.
            path: What it is to be called here.
        """
        if self._is_taken(path, status):
            return
        parent, _, last = path.rpartition("/")
        target = self._directories.open(0, parent)
        try:
            os.link(name, last, src_dir_fd=directory, dst_dir_fd=target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            first = self._copied.setdefault(status.st_ino, path)
            if first != path:  # at least the links within the layer stay
                self.link(first, path)
            else:
                self.copy(directory, name, status, path)

    def _is_taken(self, path: str, status: os.stat_result) -> bool:
        """Tell whether something is at `path`; a whiteout gives way to anything else."""
        parent, _, name = path.rpartition("/")
        directory = self._directories.open(0, parent)
        try:
            there = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if not is_whiteout(there) or is_whiteout(status):
            return True
        os.unlink(name, dir_fd=directory)
        return False

    def link(self, first: str, path: str) -> None:
        """Make `path` one more name of the file at `first`."""
        source, _, source_name = first.rpartition("/")
        parent, _, name = path.rpartition("/")
        directory = os.dup(self._directories.open(0, source))
        try:
            os.link(
                source_name,
                name,
                src_dir_fd=directory,
                dst_dir_fd=self._directories.open(0, parent),
                follow_symlinks=False,
            )
        finally:
            os.close(directory)
        self.links.append((first, path))

    def copy(self, directory: int, name: str, status: os.stat_result, path: str) -> None:
        """Copy a file of another tree to `path`; arguments as for `share`."""
        parent, _, last = path.rpartition("/")
        target = self._directories.open(0, parent)
        self._copier.duplicate(directory, name, status, target, last)
        self.disk_bytes += 512 * os.stat(last, dir_fd=target, follow_symlinks=False).st_blocks

    def clear(self, path: str) -> None:
        """Remove the file at `path`, if there is one.

        Raises:
            InvalidLayerError: It is a directory.
        """
        parent, _, name = path.rpartition("/")
        directory = self._directories.open(0, parent)
        try:
            os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            return
        except IsADirectoryError as error:
            raise InvalidLayerError(f"{path} is both a directory and a hard link of one layer") from error
