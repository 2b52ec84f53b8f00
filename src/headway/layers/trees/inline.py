"""Contents that may lie in the inode of their file and take no block of their own.

It imports nothing, for the process that writes small files (`headway.layers.unpacking.worker`) starts with it.
"""

from __future__ import annotations

INLINE = 200
"""Bytes below which a file may lie in its inode (ext4's inline_data)."""
