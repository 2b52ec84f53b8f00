"""Unpacks large layers in processes of their own, so that more than one core unpacks.

Python runs one thread at a time, and two that unpack hand each other the turn at every system call.

Rule 1: a process is worth its start and its memory only for a layer that is large and comes faster than one thread
        unpacks; others, and those for which there is no place, are unpacked in the caller's thread.
Rule 2: whatever ends the caller's work ends the process, before anybody else touches the tree.
Rule 3: where no process can be started, everything works without.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from headway.errors import StoreError
from headway.interfaces.files import TarSource
from headway.layers.applying import apply
from headway.layers.available_memory import is_memory_short
from headway.layers.worker import READY, decode
from headway.oci.digest import DiffID
from headway.records import LayerReport

LARGE = 1 << 20
"""Bytes of a blob from which on a process is worth its start, which takes 60 ms of CPU."""

FAST_SECONDS = 0.1
"""In how long that much has to come: one thread unpacks two or three times as much of small files."""

_READ = 1 << 18
_PIPE = 1 << 20  # what Linux lets everybody ask for
_BOOT = (
    "import json, sys; path, parent, directory, records = json.loads(sys.argv[1]); sys.path[:] = path; "
    "from headway.layers.worker import main; main(parent, directory, records=records)"
)


def places() -> int:
    """Return how many processes this machine should have: one, where there is a core and memory for it.

    A second would take another 25 MB, and the memory of a pull is limited (docs/performance.md).
    """
    if is_memory_short():
        return 0
    return min(1, len(os.sched_getaffinity(0)) - 1)


class Processes:
    """An `Applier` that gives large layers to processes; for threads that do nothing else.

    Args:
        places: How many processes may run at once; 0 for none.
        records: Whether recipes are written.
        large: Bytes of a blob from which on it is given to a process.
        python: What is started.
        clock: Monotonic time, in seconds.
    """

    def __init__(
        self,
        places: int,
        *,
        records: bool,
        large: int = LARGE,
        python: str = sys.executable,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = threading.Semaphore(places)
        self._records = records
        self._large = large
        self._python = python
        self._clock = clock

    def __call__(
        self, source: TarSource, directory: Path, progress: Callable[[int], None]
    ) -> tuple[DiffID, LayerReport]:
        """See `Applier`."""
        begun = _Begun(source)
        if begun.comes_fast(self._large, self._clock) and self._places.acquire(blocking=False):
            try:
                with _started(self._python, directory, records=self._records) as process:
                    if process is not None:
                        return process.unpack(begun, progress)
            finally:
                self._places.release()
        return apply(begun, directory, progress, records=self._records)


class _Begun:
    """A source whose first bytes can be waited for before they are read."""

    def __init__(self, source: TarSource) -> None:
        self._source = source
        self._head: list[bytes] = []

    def comes_fast(self, size: int, clock: Callable[[], float]) -> bool:
        """Wait for `size` bytes, or the end; tell whether so many came within `FAST_SECONDS` of the first."""
        began = None
        while size > 0 and (piece := self._source.read(size)):
            began = clock() if began is None else began
            self._head.append(piece)
            size -= len(piece)
        return size <= 0 and began is not None and clock() - began <= FAST_SECONDS

    def read(self, limit: int) -> bytes:
        """See `TarSource`."""
        if not self._head:
            return self._source.read(limit)
        piece = self._head.pop(0)
        if len(piece) > limit:
            self._head.insert(0, piece[limit:])
        return piece[:limit]


class _Process:
    """A process that waits for a blob."""

    def __init__(self, process: subprocess.Popen[bytes], blob: IO[bytes], answer: IO[bytes]) -> None:
        self._process = process
        self._blob = blob
        self._answer = answer

    def unpack(self, source: TarSource, progress: Callable[[int], None]) -> tuple[DiffID, LayerReport]:
        """Feed it and return what it found out."""
        with suppress(OSError):  # a user's pipes may hold only so much together
            fcntl.fcntl(self._blob, fcntl.F_SETPIPE_SZ, _PIPE)
        with suppress(BrokenPipeError):  # it has ended early, with an answer
            self._feed(source, progress)
        self._blob.close()
        answer = self._answer.read()
        if not answer:
            raise StoreError(f"the process that unpacked a layer ended with {self._process.wait()} and said nothing")
        return decode(answer)

    def _feed(self, source: TarSource, progress: Callable[[int], None]) -> None:
        fed = 0
        while piece := source.read(_READ):
            left = memoryview(piece)
            while left:
                left = left[os.write(self._blob.fileno(), left) :]
            fed += len(piece)
            progress(fed)


@contextmanager
def _started(python: str, directory: Path, *, records: bool) -> Iterator[_Process | None]:
    """Give a process that waits for a blob, None where none starts; it is gone after the block."""
    words = json.dumps([sys.path, os.getpid(), str(directory), records])
    # Nobody's environment or start-up code changes what it does; and Ctrl-C, which the whole group hears, is ours.
    command = [python, "-I", "-S", "-c", _BOOT, words]
    with ExitStack() as opened:
        theirs_in, blob = _pipe(opened)
        answer, theirs_out = _pipe(opened)
        try:
            process = subprocess.Popen(  # noqa: S603  # ourselves
                command, stdin=theirs_in, stdout=theirs_out, stderr=subprocess.DEVNULL, process_group=0
            )
        except OSError:
            yield None
            return
        opened.callback(process.wait)
        opened.callback(process.kill)
        theirs_in.close()
        theirs_out.close()
        yield _Process(process, blob, answer) if answer.readline() == READY else None


def _pipe(opened: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """Return both ends of a pipe, the one to read from first."""
    reading, writing = os.pipe()
    return opened.enter_context(open(reading, "rb")), opened.enter_context(open(writing, "wb", buffering=0))
