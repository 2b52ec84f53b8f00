"""Which boot of this machine this is: what the page cache held in another one may be lost."""

from __future__ import annotations

from pathlib import Path

from headway.store.failures import disk_errors

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return the kernel's own name for this boot.

    Raises:
        StoreError: It cannot be read.
    """
    with disk_errors(_BOOT_ID):
        return _BOOT_ID.read_text().strip()
