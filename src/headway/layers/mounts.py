"""mount(2), umount2(2) and syncfs(2), which Python does not offer, and what is mounted where.

Rule 1: everything is mounted under one source name, and only what bears it is ever unmounted.
Rule 2: the kernel's answer is passed on as it is; what it means for an image is said by the driver.
"""

from __future__ import annotations

import ctypes
import os
from enum import IntFlag

SOURCE = "headway"

_UMOUNT_NOFOLLOW = 8
_OCTAL = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


class MountFlag(IntFlag):
    """Flags of mount(2)."""

    READ_ONLY = 1
    NO_SETUID = 2
    NO_DEVICES = 4


def mount(file_system: str, target: str, flags: MountFlag, options: str) -> None:
    """Mount a file system that needs no device at `target`.

    Raises:
        OSError: The kernel refused.
    """
    data = os.fsencode(options)
    result = _libc().mount(SOURCE.encode(), os.fsencode(target), file_system.encode(), ctypes.c_ulong(flags), data)
    if result != 0:
        raise _failure(target)


def unmount(target: str) -> None:
    """Unmount what is mounted topmost at `target`.

    Raises:
        OSError: EBUSY where it is in use, EINVAL where nothing is mounted.
    """
    if _libc().umount2(os.fsencode(target), _UMOUNT_NOFOLLOW) != 0:
        raise _failure(target)


def sync_file_system(path: str) -> None:
    """Wait until everything written to the file system that holds `path` survives a power cut.

    Raises:
        OSError: The disk failed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc().syncfs(descriptor) != 0:
            raise _failure(path)
    finally:
        os.close(descriptor)


def is_ours(target: str) -> bool:
    """Tell whether what is mounted topmost at `target` was mounted by `mount`."""
    wanted = os.path.realpath(target)
    source = None
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            before, _, after = line.partition(" - ")
            if _plain(before.split(" ")[4]) == wanted:
                source = after.split(" ")[1]
    return source == SOURCE


def _plain(field: str) -> str:
    for escape, character in _OCTAL.items():
        field = field.replace(escape, character)
    return field


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _failure(target: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), target)
