"""Limits on what a layer may contain, which `tar` and `unpacker` enforce."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a layer may ask for before it counts as hostile.

    Attributes:
        path_bytes: Longest name or link target; no system call takes a longer one.
        entries: Most entries; each costs time, and next to no memory.
        remembered: Most half kilobytes that directories, and entries that a tree cannot hold as they are, may take up
            until the end (`remembered.units`).
        expanded_bytes: Longest tar, and longest sparse file.
        extension_bytes: Most bytes of pax headers and GNU long names before one entry.
    """

    path_bytes: int = 4095
    entries: int = 10_000_000
    remembered: int = 1_000_000
    expanded_bytes: int = 1 << 40
    extension_bytes: int = 1 << 20


DEFAULT_LIMITS = Limits()
