"""The diff ID, computed beside the unpacking.

Rule: at most a few pieces wait to be hashed, and leaving never waits for anything but them.
"""

from __future__ import annotations

import hashlib
import threading
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from headway.oci.digest import DiffID, Digest

_WAITING = 4


class TarHash:
    """SHA-256 over a tar as it goes by; in a thread of its own, since it would take a quarter of a big layer's time.

    A context manager. hashlib releases the GIL for large pieces, so the thread that unpacks goes on meanwhile.

    Args:
        threaded: Whether to start that thread; without it `update` does the work.
    """

    def __init__(self, *, threaded: bool) -> None:
        self._hash = hashlib.sha256()
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._free = threading.Semaphore(_WAITING)
        self._thread = threading.Thread(target=self._run, name="headway-hash") if threaded else None

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._join()

    def update(self, piece: bytes) -> None:
        """Take the next bytes; waits while too many wait."""
        if self._thread is None:
            self._hash.update(piece)
            return
        self._free.acquire()
        self._queue.put(piece)

    def diff_id(self) -> DiffID:
        """Return the digest of all that was taken; nothing may come after."""
        self._join()
        return DiffID(Digest(f"sha256:{self._hash.hexdigest()}"))

    def _join(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (piece := self._queue.get()) is not None:
            self._hash.update(piece)
            self._free.release()
