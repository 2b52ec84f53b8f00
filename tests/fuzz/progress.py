"""Where a child is, in a file that it shares with its parent."""

from __future__ import annotations

import mmap
import time
from pathlib import Path

_EXECUTED, _ACCEPTED, _NUMBER, _SINCE = range(4)


class Progress:
    """Four numbers in memory that two processes see; each is written at once, so that none is ever read half-written.

    Args:
        file: Made where it is missing.
    """

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(bytes(mmap.PAGESIZE))
        with file.open("r+b") as opened:
            self._numbers = memoryview(mmap.mmap(opened.fileno(), mmap.PAGESIZE)).cast("Q")

    def tell(self, executed: int, accepted: int, number: int) -> None:
        """Say how many blobs were examined, how many of them are layers, and which one comes now."""
        for place, value in enumerate((executed, accepted, number, time.monotonic_ns())):
            self._numbers[place] = value

    @property
    def executed(self) -> int:
        """Blobs that were examined."""
        return self._numbers[_EXECUTED]

    @property
    def accepted(self) -> int:
        """Those that are layers."""
        return self._numbers[_ACCEPTED]

    @property
    def number(self) -> int:
        """Of the blob that is being examined."""
        return self._numbers[_NUMBER]

    @property
    def seconds(self) -> float:
        """How long that has taken by now."""
        return (time.monotonic_ns() - self._numbers[_SINCE]) / 1e9
