"""Gives back memory that only the start needed.

A start runs through code that nothing afterwards runs through: importing, compiling, parsing flags. Its pages are a
quarter of what a daemon holds, and stay until the machine is short of memory. What is needed again comes back from the
page cache at the price of a page fault.
"""

from __future__ import annotations

import ctypes
import gc
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_MADV_DONTNEED = 4
# Programs' text only: it is never written to. Other pages of a file may hold what was (relocations), and would lose it.
_TEXT = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-xp \S+ \S+ [1-9]\d*\s")


def give_back() -> None:
    """Let go of garbage, of free memory, and of the pages of programs; on a system that cannot, nothing happens."""
    gc.collect()
    try:
        c = ctypes.CDLL(None)
        madvise, trim = c.madvise, c.malloc_trim
        mappings = Path("/proc/self/maps").read_text().splitlines()
    except (OSError, AttributeError):  # another C library, or no /proc
        return
    trim(ctypes.c_size_t(0))
    for begin, end in texts(mappings):
        madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED)


def texts(mappings: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Return where the text of programs and libraries is mapped, by lines of ``/proc/PID/maps``."""
    for line in mappings:
        if found := _TEXT.match(line):
            yield int(found[1], 16), int(found[2], 16)
