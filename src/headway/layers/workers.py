"""A process that writes small files for all layers that are being unpacked, so that more than one core unpacks.

Python runs one thread at a time, and threads that make files hand each other the turn at every system call. So the
threads that read tars leave the files to a process that does nothing else.

Rule 1: it is worth its start and its memory only for a layer of many files that comes faster than one thread unpacks.
Rule 2: it is there while such layers are being unpacked, and gone when the last one is.
Rule 3: where no process can be started, everything works without.
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
from headway.layers.handoff import HandoffMaker
from headway.layers.heaps import trim_heaps
from headway.layers.recording_applier import apply
from headway.layers.windows import Windows
from headway.layers.worker import READY, SLOT, SLOTS
from headway.layers.worker_handoff import Link, WorkerHandoff
from headway.oci.digest import DiffID
from headway.records import LayerReport

LARGE = 2 << 20
"""Bytes of a blob from which on threads beside the one that unpacks are worth it, and a worker may be."""

WORTH = 512
"""How many small files a thread makes itself before it wants a worker: they take longer than its start, and fewer have
gained nothing."""

FAST_SECONDS = 0.2
"""In how long that much has to come: one thread unpacks two or three times as much of small files."""

START_SECONDS = 10.0
"""How long a worker may take to start; layers are unpacked without it then."""

_BOOT = "import sys; _, control, *sys.path = sys.argv; from headway.layers.worker import main; main(int(control))"


def is_worth_it() -> bool:
    """Tell whether this machine has a core and the memory for a worker."""
    return len(os.sched_getaffinity(0)) > 1 and not is_memory_short()


class Workers:
    """An `Applier` whose layers share a worker, and memory for looking back; for threads that do nothing else.

    Args:
        is_worth_it: Whether there is to be a worker at all.
        records: Whether recipes are written.
        windows: What decoders share; by default with nobody else.
        large: See `LARGE`.
        worth: See `WORTH`.
        python: What is started.
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
            trim_heaps()  # of what downloads and the layer before have left, this one could not use much
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
        """Have the worker inside the block: started for the first who wants it, ended behind the last.

        None is given where none starts.
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
    """A worker that waits to be asked."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process = process
        self._control = control

    def serve(self, link: socket.socket, memory: int) -> None:
        """Let it serve one more.

        Raises:
            OSError: It has ended.
        """
        socket.send_fds(self._control, [b"+"], [link.fileno(), memory])

    def end(self) -> None:
        """End it: whoever asked has its answers."""
        self._control.close()
        self._process.kill()
        self._process.wait()


def _start(python: str) -> _Worker | None:
    """Return a worker; None where none starts."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Nobody's environment or start-up code changes what it does; and Ctrl-C, which the whole group hears, is ours.
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
    with suppress(OSError):  # it has ended, or takes too long
        if ours.recv(len(READY)) == READY:
            ours.settimeout(None)
            return worker
    worker.end()
    return None


def _connect(worker: _Worker, opened: ExitStack) -> Link | None:
    """Return a link to a worker, there as long as `opened` is; None where it is not to be had."""
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
    """A source whose first bytes can be waited for before they are read."""

    def __init__(self, source: TarSource) -> None:
        self._source = source
        self._head: list[bytes] = []

    def wait(self, size: int, clock: Callable[[], float]) -> float | None:
        """Wait for `size` bytes; return how many seconds behind the first they were here, None where there are less."""
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
