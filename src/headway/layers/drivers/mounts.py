"""Calls mount(2) and umount2(2), which Python does not offer, and finds what is mounted where.

Rule 1: everything is mounted under one source name, and only mounts with that name are ever unmounted.
Rule 2: the kernel's error is passed on unchanged; the driver says what it means for an image.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from enum import IntFlag
from typing import NamedTuple

from headway.libc import failure, libc

SOURCE = "headway"

_UMOUNT_NOFOLLOW = 8
_BIND = 4096
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_OCTAL = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


class MountFlag(IntFlag):
    """Flags of mount(2)."""

    READ_ONLY = 1
    NO_DEVICES = 4


def mount(file_system: str, target: str, flags: MountFlag, options: str) -> None:
    """Mount a file system that needs no device at `target`.

    Raises:
        OSError: The kernel refused.
    """
    data = os.fsencode(options)
    if libc.mount(SOURCE.encode(), os.fsencode(target), file_system.encode(), ctypes.c_ulong(flags), data) != 0:
        raise failure(target)


def unmount(target: str) -> None:
    """Unmount what is mounted topmost at `target`.

    Raises:
        OSError: EBUSY where it is in use, EINVAL where nothing is mounted.
    """
    if libc.umount2(os.fsencode(target), _UMOUNT_NOFOLLOW) != 0:
        raise failure(target)


def bind(source: str, target: str) -> None:
    """Make what is mounted at `source` visible at `target`, too (a bind mount).

    Raises:
        OSError: The kernel refused.
    """
    if libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(_BIND), None) != 0:
        raise failure(target)


def sources(target: str) -> list[str]:
    """Return the source of each mount at `target`, the topmost last; ours is `SOURCE`."""
    wanted = os.path.realpath(target)
    return [mounted.source for mounted in _mounted() if mounted.target == wanted]


def ours() -> set[str]:
    """Return every place in this mount namespace where something is mounted that `mount` mounted."""
    return {mounted.target for mounted in _mounted() if mounted.source == SOURCE}


def file_system(path: str) -> str:
    """Return the kernel's name for the type of file system that holds `path`; empty if it does not say."""
    status = os.stat(path)
    device = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
    if kinds := [mounted.kind for mounted in _mounted() if mounted.device == device]:
        return kinds[-1]
    # btrfs gives each subvolume a device number of its own: the longest mount point above is the one.
    real = os.path.join(os.path.realpath(path), "")
    above = [mounted for mounted in _mounted() if real.startswith(os.path.join(mounted.target, ""))]
    return max(above, key=lambda mounted: len(mounted.target)).kind if above else ""


def here() -> str:
    """Return a name for this mount namespace that no other has, not even after the next boot."""
    with open(_BOOT_ID, encoding="utf-8") as boot_id:
        return f"{boot_id.read().strip()} {os.readlink('/proc/self/ns/mnt')}"


def process_elsewhere(place: str) -> int:
    """Return a process in another mount namespace of this boot, as `here` named it; 0 where nobody is in it."""
    boot, _, namespace = place.partition(" ")
    this_boot, _, this_namespace = here().partition(" ")
    if boot != this_boot or namespace == this_namespace:
        return 0
    for process in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            if os.readlink(f"/proc/{process}/ns/mnt") == namespace:
                return int(process)
    return 0


class _Mounted(NamedTuple):
    """A line of mountinfo (proc(5))."""

    device: str
    target: str
    kind: str
    source: str


def _mounted() -> Iterator[_Mounted]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            before, _, after = line.partition(" - ")
            fields, rest = before.split(" "), after.split(" ")
            yield _Mounted(fields[2], _plain(fields[4]), rest[0], _plain(rest[1]))


def _plain(field: str) -> str:
    for escape, character in _OCTAL.items():
        field = field.replace(escape, character)
    return field
