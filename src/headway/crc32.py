"""CRC-32, by isal where it is installed; zlib gives the same, at a quarter of the speed."""

from __future__ import annotations

try:
    from isal.isal_zlib import crc32
except ImportError:  # no wheel for this machine
    from zlib import crc32

__all__ = ["crc32"]
