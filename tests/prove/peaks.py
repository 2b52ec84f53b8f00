"""The most that a process and those it has started need while they run.

Rule: large layers are unpacked by a process of their own, so that the memory of the first alone says little.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.measure import resident_bytes

_LOOK_SECONDS = 0.01


@dataclass(slots=True)
class Peaks:
    """What was seen so far; 0 before the first look.

    Attributes:
        memory: Resident memory of all of them at one look, in bytes; of the first one alone the kernel keeps the
            highest value, so that this is never less.
        descriptors: Open ones of the first.
        threads: Of the first.
    """

    memory: int = 0
    descriptors: int = 0
    threads: int = 0


@contextmanager
def peaks_of(pid: int) -> Iterator[Peaks]:
    """Look at a process and its descendants every 10 ms while the block runs."""
    seen = Peaks()
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            with suppress(OSError, IndexError, ValueError):  # it is over, or not yet what it will be
                status = Path(f"/proc/{pid}/status").read_text()
                seen.memory = max(seen.memory, _number(status, "VmHWM:") << 10, resident_bytes(family(str(pid))))
                seen.threads = max(seen.threads, _number(status, "Threads:"))
                seen.descriptors = max(seen.descriptors, len(os.listdir(f"/proc/{pid}/fd")))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def family(pid: str) -> Iterator[str]:
    """Yield a process's ID and those of its descendants."""
    yield pid
    for task in Path("/proc", pid, "task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            for child in task.read_text().split():
                yield from family(child)


def _number(status: str, key: str) -> int:
    return int(status.partition(key)[2].split()[0])
