"""Free space and free inodes of the data root's file system."""

from __future__ import annotations

import os
from pathlib import Path

from headway.distribution.room import Space
from headway.store.failures import disk_errors


def space(path: Path) -> Space:
    """Return what any user may take: blocks reserved for root keep the machine alive, and are not for images.

    Raises:
        StoreError: It cannot be asked.
    """
    with disk_errors(path):
        found = os.statvfs(path)
    # btrfs and others make inodes as they need them, and say 0.
    return Space(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)
