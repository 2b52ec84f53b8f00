"""Starts a worker process that writes small files for all layers being unpacked, so that more than one core unpacks.

Python runs one thread at a time, and threads that make files hand over its lock at every system call. So the threads
that read tars leave small files to a process that does nothing else.

Rule 1: a worker is worth its start and its memory only for a layer of many files that arrives faster than one thread
        unpacks.
Rule 2: it runs while such layers are being unpacked, and ends with the last one.
Rule 3: if no process can be started, everything works without one.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from mmap import mmap
from pathlib import Path

from headway.interfaces.files import TarSource
from headway.layers.available_memory import is_memory_short
from headway.layers.compression.windows import Windows
from headway.layers.unpacking.handoff import HandoffMaker
from headway.layers.unpacking.heaps import trim_heaps
from headway.layers.unpacking.recording_applier import apply
from headway.layers.unpacking.worker import READY, SLOT, SLOTS
from headway.layers.unpacking.worker_handoff import Link, WorkerHandoff
from headway.oci.digest import DiffID
from headway.records import LayerReport

LARGE = 2 << 20
"""Size of a blob, in bytes, from which on threads that decompress and hash are worth it, and perhaps a worker."""

WORTH = 512
"""How many small files a thread makes itself before it asks for a worker: more of them take longer than its start, and
with fewer nothing is gained."""

FAST_SECONDS = 0.2
"""How soon `LARGE` bytes have to arrive for a worker. Meanwhile one thread unpacks two or three times as much of small
files, which is about what those bytes expand to."""

START_SECONDS = 10.0
"""How long a worker may take to start; after that, layers are unpacked without it."""

_BOOT = (
    "import sys; _, control, *sys.path = sys.argv; from headway.layers.unpacking.worker import main; main(int(control))"
)


def is_worth_it() -> bool:
    """Tell whether this machine has a second core, and the memory, for a worker."""
    return len(os.sched_getaffinity(0)) > 1 and not is_memory_short()


class Workers:
    """An `Applier` whose layers share a worker and a limit on window memory; for threads that do nothing else.

    Args:
        is_worth_it: Whether a worker may be started at all.
        records: Whether recipes are written.
        windows: The limit on window memory; None for one of its own.
        large: See `LARGE`.
        worth: See `WORTH`.
        python: The interpreter to start.
        clock: Monotonic time, in seconds.
    """

    def __init__(
        self,
        *,
        is_worth_it: bool,
        records: bool,
        windows: Windows | None = None,
        large: int = LARGE,
        worth: int = WORTH,
        python: str = sys.executable,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_worth_it = is_worth_it
        self._records = records
        self._windows = windows or Windows()
        self._large = large
        self._worth = worth
        self._python = python
        self._clock = clock
        self._changing = threading.Lock()
        self._users = 0
        self._worker: _Worker | None = None

    def __call__(
        self, source: TarSource, directory: Path, progress: Callable[[int], None]
    ) -> tuple[DiffID, LayerReport]:
        """See `Applier`."""
        begun = _Begun(source)
        seconds = begun.wait(self._large, self._clock)
        if seconds is not None:
            trim_heaps()  # this layer could use little of the memory that downloads and the last layer have freed
        unpack = partial(apply, begun, directory, progress, records=self._records, beside=seconds is not None)
        with self._windows.share(source) as reserve:
            if not self._is_worth_it or seconds is None or seconds > FAST_SECONDS:
                return unpack(reserve=reserve)
            with self.handing_off() as hand_off:
                return unpack(reserve=reserve, hand_off=hand_off)

    @contextmanager
    def handing_off(self) -> Iterator[HandoffMaker]:
        """Give where the small files of one layer go inside the block: to the worker, once there are many."""
        with ExitStack() as opened:

            def connect() -> Link | None:
                worker = opened.enter_context(self.joined())
                return None if worker is None else _connect(worker, opened)

            yield partial(WorkerHandoff, connect, worth=self._worth)

    @contextmanager
    def joined(self) -> Iterator[_Worker | None]:
        """Share the worker during the block: the first user starts it, the last one ends it.

        Gives None if it could not be started.
        """
        with self._changing:
            if not self._users:
                self._worker = _start(self._python)
            self._users += 1
            worker = self._worker
        try:
            yield worker
        finally:
            with self._changing:
                self._users -= 1
                if not self._users and worker is not None:
                    self._worker = None
                    worker.end()


class _Worker:
    """A running worker process."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process = process
        self._control = control

    def serve(self, link: socket.socket, memory: int) -> None:
        """Let it serve one more layer.

        Args:
            link: The worker's end of a link, over which files are announced.
            memory: Descriptor of the memory that the layer's thread shares with the worker.

        Raises:
            OSError: The process has ended.
        """
        socket.send_fds(self._control, [b"+"], [link.fileno(), memory])

    def end(self) -> None:
        """Kill it; to be called when every layer has its answers."""
        self._control.close()
        self._process.kill()
        self._process.wait()


def _start(python: str) -> _Worker | None:
    """Start a worker; return None if that fails."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # -I and -S keep the user's environment and start-up code out; its own process group keeps Ctrl-C from reaching it.
    command = [python, "-I", "-S", "-c", _BOOT, str(theirs.fileno()), *sys.path]
    with theirs:
        try:
            process = subprocess.Popen(  # noqa: S603  # ourselves
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        except OSError:
            ours.close()
            return None
    worker = _Worker(process, ours)
    ours.settimeout(START_SECONDS)
    with suppress(OSError):  # it has ended, or took too long
        if ours.recv(len(READY)) == READY:
            ours.settimeout(None)
            return worker
    worker.end()
    return None


def _connect(worker: _Worker, opened: ExitStack) -> Link | None:
    """Return a link to a worker, which is closed with `opened`; None if it cannot be made."""
    try:
        link, theirs = map(opened.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        shared = os.memfd_create("headway-files", os.MFD_CLOEXEC)
        with theirs, open(shared, "rb"):
            os.ftruncate(shared, SLOT * SLOTS)
            memory = opened.enter_context(mmap(shared, SLOT * SLOTS))
            worker.serve(theirs, shared)
    except OSError:  # it has ended, or there are no descriptors or no memory left
        return None
    return Link(link, memory)


class _Begun:
    """A source that can wait for its first bytes, and keeps them for its reader."""

    def __init__(self, source: TarSource) -> None:
        self._source = source
        self._head: list[bytes] = []

    def wait(self, size: int, clock: Callable[[], float]) -> float | None:
        """Wait for `size` bytes; return how many seconds passed since the first, None if the source is shorter."""
        began = clock()
        while size > 0 and (piece := self._source.read(size)):
            began = began if self._head else clock()
            self._head.append(piece)
            size -= len(piece)
        return clock() - began if size <= 0 else None

    def read(self, limit: int) -> bytes:
        """See `TarSource`."""
        if not self._head:
            return self._source.read(limit)
        piece = self._head.pop(0)
        if len(piece) > limit:
            self._head.insert(0, piece[limit:])
        return piece[:limit]
