"""The most that a process needs while it runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_LOOK_SECONDS = 0.01


@dataclass(slots=True)
class Peaks:
    """What was seen so far; 0 before the first look.

    Attributes:
        memory: Resident memory, in bytes: the kernel keeps the highest value, so that none is missed.
        descriptors: Open ones.
        threads: Of its own.
    """

    memory: int = 0
    descriptors: int = 0
    threads: int = 0


@contextmanager
def peaks_of(pid: int) -> Iterator[Peaks]:
    """Look at a process every 10 ms while the block runs."""
    seen = Peaks()
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            with suppress(OSError, IndexError, ValueError):  # it is over, or not yet what it will be
                status = Path(f"/proc/{pid}/status").read_text()
                seen.memory = max(seen.memory, _number(status, "VmHWM:") << 10)
                seen.threads = max(seen.threads, _number(status, "Threads:"))
                seen.descriptors = max(seen.descriptors, len(os.listdir(f"/proc/{pid}/fd")))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _number(status: str, key: str) -> int:
    return int(status.partition(key)[2].split()[0])
