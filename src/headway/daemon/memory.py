"""Frees memory that only the start needed.

A start runs through code and tables that nothing afterwards looks at: importing, linking, parsing flags. Their pages
are a quarter of what a daemon holds, and stay until the machine is short of memory. What is needed again comes back
from the page cache at the price of a page fault.
"""

from __future__ import annotations

import ctypes
import gc
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from headway.layers.unpacking.heaps import trim_heaps

_MADV_DONTNEED = 4
_PROC = Path("/proc/self")
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+)")
_READ_ONLY = ("r-xp", "r--p")


def give_back() -> None:
    """Let go of free memory and of pages of programs; on a system that cannot, nothing happens.

    What start-up made stays as long as the process: no later search for garbage looks at it.
    """
    gc.freeze()
    trim_heaps()
    try:
        madvise = ctypes.CDLL(None).madvise
        smaps, maps = (_PROC.joinpath(name).read_text("utf-8", "surrogateescape") for name in ("smaps", "maps"))
    except (OSError, AttributeError):  # another C library, or no /proc
        return
    for begin, end in unwritten(smaps.splitlines(), maps.splitlines()):
        madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED)


def unwritten(smaps: Iterable[str], maps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Return where read-only parts of files are mapped that are as in the file.

    A part that the linker has written to (relocations) counts anonymous pages, and would lose them.
    What the two do not both know is left: qemu, which runs the programs of one machine on another, translates the
    addresses in ``maps`` alone.

    Args:
        smaps: Lines of ``/proc/PID/smaps``.
        maps: Lines of ``/proc/PID/maps``.
    """
    known = {line.split(" ", 1)[0] for line in maps}
    mapped: tuple[int, int] | None = None
    for line in smaps:
        if found := _MAPPING.match(line):
            begin, end, mode, inode = found.groups()
            is_meant = mode in _READ_ONLY and inode != "0" and f"{begin}-{end}" in known
            mapped = (int(begin, 16), int(end, 16)) if is_meant else None
        elif mapped and line.startswith("Anonymous:") and line.split()[1] == "0":
            yield mapped
