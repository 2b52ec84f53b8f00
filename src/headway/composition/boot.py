"""The ID of the current boot: writes of an earlier one that were never synced may have been lost."""

from __future__ import annotations

from pathlib import Path

from headway.errors import StoreError
from headway.store.failures import disk_errors

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return the kernel's own name for this boot.

    Raises:
        StoreError: It cannot be read.
    """
    with disk_errors(_BOOT_ID):
        try:
            return _BOOT_ID.read_text().strip()
        except FileNotFoundError:
            said = f"there is no {_BOOT_ID}, which tells this boot from others: mount /proc (mount -t proc proc /proc)"
            raise StoreError(said) from None
