"""What a layer says of those below it: in its tar, and in its tree.

In a tar as image-spec, layer.md, "Whiteouts", has it; on disk as overlay reads it (overlayfs.rst, "whiteouts and opaque
directories").
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from headway.layers.trees.footprint import Footprint
from headway.layers.trees.xattrs import own_prefix

WHITEOUT = b".wh."
"""What the name of a whiteout begins with in a tar; the rest is what is gone."""

WHITEOUT_META = WHITEOUT * 2
"""The same of aufs' own names, of which an opaque directory's is one."""

WHITEOUT_OPAQUE = WHITEOUT_META + b".opq"
"""Says that its directory hides what is below."""

WHITEOUT_LINKS = WHITEOUT_META + b"plnk"
"""Where aufs kept files of several names: other entries are hard links to them, and it is no part of the image."""

_DEVICE = os.makedev(0, 0)


def is_whiteout(status: os.stat_result) -> bool:
    """Tell whether this is overlay's mark for a deleted name."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == _DEVICE


def is_opaque(directory: int | Path) -> bool:
    """Tell whether a directory hides those of the same path in lower layers."""
    try:
        return os.getxattr(directory, own_prefix() + "opaque") == b"y"
    except OSError:  # nearly always ENODATA; a file system without extended attributes has no opaque directories
        return False


class Whiteouts:
    """Makes whiteouts and opaque directories in a layer's tree.

    Args:
        footprint: Counts the names that are made.
        rootless: Whether to use the attributes of overlay mounts in user namespaces.

    Raises:
        OSError: From every method: a system call failed.
    """

    def __init__(self, footprint: Footprint, *, rootless: bool) -> None:
        self._footprint = footprint
        self._opaque = b"user.overlay.opaque" if rootless else b"trusted.overlay.opaque"

    def hide(self, parent: int, name: bytes) -> os.stat_result | None:
        """Hide what lower layers have under a name; what this layer has under it stays, and is returned."""
        try:
            os.mknod(name, stat.S_IFCHR, _DEVICE, dir_fd=parent)
        except FileExistsError:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                self.hide_below(parent, name)
            return status
        except PermissionError as error:
            words = f"{error.strerror} (a whiteout; a data root on overlay takes none)"
            raise PermissionError(error.errno, words) from error
        self._footprint.add_name()
        return None

    def remove(self, parent: int, name: bytes) -> None:
        """Remove a whiteout."""
        os.unlink(name, dir_fd=parent)
        self._footprint.drop_name()

    def hide_below(self, parent: int, name: bytes | None) -> None:
        """Make a directory opaque: `name` in `parent`, or `parent` itself."""
        path = b"/proc/self/fd/%d" % parent if name is None else b"/proc/self/fd/%d/%s" % (parent, name)
        os.setxattr(path, self._opaque, b"y", follow_symlinks=name is None)
