"""Limits how much a directory may hold, by project quotas of its file system (xfs ``pquota``, ext4 ``prjquota``).

Rule 1: each directory gets a project ID that is not used elsewhere on its file system, and everything made in it
        inherits that. When the directory is removed, the limit of its ID stays behind without effect.
Rule 2: the kernel is asked with a descriptor of the directory (quotactl_fd(2), Linux 5.14), so that no device node is
        needed. On an older kernel, file systems count as having no quotas.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

from headway.errors import UnsupportedError
from headway.layers.failures import disk_failures
from headway.libc import failure, libc

_QUOTACTL_FD = 443  # the same number on every architecture
_PROJECT = 2  # PRJQUOTA, linux/quota.h
_GET_STATE, _GET_LIMIT, _SET_LIMIT = 0x5805, 0x5803, 0x5804  # Q_XGETQSTAT, Q_XGETQUOTA, Q_XSETQLIM
_ENFORCED = 1 << 5  # FS_QUOTA_PDQ_ENFD
_STATE_BYTES = 80  # struct fs_quota_stat
_LIMIT = struct.Struct("=bbHI6QiiHH4b3QiHh8s")  # struct fs_disk_quota, linux/dqblk_xfs.h
_LIMIT_VERSION, _PROJECT_FLAG = 1, 2
_SOFT, _HARD = 1 << 2, 1 << 3
_SECTOR = 512
_MOST = 1 << 63

_GET_ATTRIBUTES, _SET_ATTRIBUTES = 0x801C581F, 0x401C5820  # FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR
_ATTRIBUTES = struct.Struct("=5I8s")  # struct fsxattr, linux/fs.h
_INHERIT = 0x200  # FS_XFLAG_PROJINHERIT

_NO_QUOTA = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTTY, errno.ESRCH, errno.EPERM, errno.ENODEV}
_SIZE = re.compile(r"(\d+(?:\.\d+)*) ?([kmgtp])?i?b?\Z", re.IGNORECASE)
_POWERS = " kmgtp"


def is_enforced(path: Path) -> bool:
    """Tell whether the file system of `path` has project quotas and enforces them.

    Raises:
        StoreError: The disk failed.
    """
    with disk_failures(str(path)):
        descriptor = _opened(path)
        try:
            state = _ask(descriptor, _GET_STATE, 0, bytes(_STATE_BYTES))
        except OSError as error:
            if error.errno in _NO_QUOTA:
                return False
            raise
        finally:
            os.close(descriptor)
    (flags,) = struct.unpack_from("=H", state, 2)
    return bool(flags & _ENFORCED)


def limit(path: Path, size: int, *, random: Callable[[int], bytes] = os.urandom) -> None:
    """Limit everything that will be made in the directory `path` to `size` bytes in all.

    Raises:
        StoreError: The disk failed.
    """
    with disk_failures(str(path)):
        descriptor = _opened(path)
        try:
            project = _unused(descriptor, random)
            _ask(descriptor, _SET_LIMIT, project, encode_limit(project, size))
            give_project(descriptor, project)
        finally:
            os.close(descriptor)


def parse_size(text: str) -> int:
    """Return ``10G``, ``1.5gb`` or ``512MiB`` in bytes; all are binary, as Docker reads them (go-units, RAMInBytes).

    Raises:
        UnsupportedError: `text` has none of these forms, or is larger than any file system.
    """
    found = _SIZE.match(text)
    if not found or found[1].count(".") > 1:
        raise UnsupportedError(f"invalid size: '{text}'")
    size = float(found[1]) * 1024 ** _POWERS.index((found[2] or " ").lower())
    if size >= _MOST:
        raise UnsupportedError(f"invalid size: '{text}'")
    return int(size)


def encode_limit(project: int, size: int) -> bytes:
    """Return a ``struct fs_disk_quota`` that limits one project."""
    blocks = size // _SECTOR
    unused = [0] * 16  # limits of inodes, usage, timers, warnings, realtime blocks
    head = (_LIMIT_VERSION, _PROJECT_FLAG, _SOFT | _HARD, project)
    return _LIMIT.pack(*head, blocks, blocks, *unused, 0, 0, b"")


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _unused(descriptor: int, random: Callable[[int], bytes]) -> int:
    """Return a project ID that has no limit and no files yet."""
    while True:
        project = int.from_bytes(random(4), "little") >> 1
        try:
            answer = _ask(descriptor, _GET_LIMIT, project, encode_limit(project, 0))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return project
            raise
        # ext4 answers for every ID: an unused one has neither limits nor usage.
        if project and not any(answer[8:56]):
            return project


def give_project(descriptor: int, project: int) -> None:
    """Assign a directory, and everything that will be made in it, to a project."""
    known = bytearray(_ATTRIBUTES.size)
    fcntl.ioctl(descriptor, _GET_ATTRIBUTES, known)
    flags, extent_size, extents, _, copy_on_write, rest = _ATTRIBUTES.unpack(known)
    wanted = _ATTRIBUTES.pack(flags | _INHERIT, extent_size, extents, project, copy_on_write, rest)
    fcntl.ioctl(descriptor, _SET_ATTRIBUTES, wanted)


def _ask(descriptor: int, command: int, project: int, data: bytes) -> bytes:
    """Perform quotactl_fd(2) for project quotas; return what the kernel wrote over `data`.

    Raises:
        OSError: The kernel refused.
    """
    buffer = ctypes.create_string_buffer(data, len(data))
    words = (ctypes.c_long(_QUOTACTL_FD), ctypes.c_uint(descriptor), ctypes.c_uint(command << 8 | _PROJECT))
    if libc.syscall(*words, ctypes.c_int(project), buffer) != 0:
        raise failure()
    return buffer.raw
