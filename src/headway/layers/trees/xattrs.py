"""Extended attributes of a tree's files: which of them belong to the files, and which to a mount or to this machine."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress

OVERLAY = ("trusted.overlay.", "user.overlay.")
"""What the names of overlay's own attributes begin with: root's mounts read the first, mounts of users the second."""

LABEL = "security.selinux"
"""Belongs to the machine's policy, not to the file; umoci and GNU tar leave it out as well."""

_ACLS = frozenset(("system.posix_acl_access", "system.posix_acl_default"))
_LEFT_OUT = (*OVERLAY, "system.")


def read_xattrs(source: int | str) -> dict[str, bytes]:
    """Return the extended attributes of a descriptor, or of a path whose last component is not followed.

    Overlay's own (`own_prefix`) and the machine's security label are left out.
    """
    following: dict[str, bool] = {} if isinstance(source, int) else {"follow_symlinks": False}
    try:
        keys = os.listxattr(source, **following)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return {}
        raise
    own = own_prefix()
    kept = [key for key in keys if not key.startswith(own) and key != LABEL]
    return {key: os.getxattr(source, key, **following) for key in kept}


def own_prefix() -> str:
    """Return the start of the attributes that give trees overlay's meaning when this user stacks them."""
    return "trusted.overlay." if os.geteuid() == 0 else "user.overlay."


def for_a_mount(values: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the attributes that a directory may have which overlay is to mount.

    Those of overlay's that a layer itself has (`LayerReport.xattrs`) would hide or move what it shows.
    """
    return {key: value for key, value in values.items() if not key.startswith(OVERLAY)}


def archived_xattrs(target: int | bytes) -> dict[bytes, bytes]:
    """Return the attributes of a descriptor, or of a path that is not followed, that belong in an archive.

    Overlay's own say something to a mount only, a label to this machine; of a file system's, every one knows ACLs.
    """
    found: dict[bytes, bytes] = {}
    follow = isinstance(target, int)
    try:
        names = os.listxattr(target, follow_symlinks=follow)
    except OSError:
        return found  # a file system without them
    for name in names:
        if name in _ACLS or not (name.startswith(_LEFT_OUT) or name == LABEL):
            with suppress(OSError):
                found[os.fsencode(name)] = os.getxattr(target, name, follow_symlinks=follow)
    return found


def in_directory(descriptor: int, name: str) -> str:
    """Return a path to a name in an open directory, for calls that take no directory descriptor."""
    return f"/proc/self/fd/{descriptor}/{name}"
