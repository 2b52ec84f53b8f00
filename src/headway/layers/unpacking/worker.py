"""Writes small files for the threads that unpack: the process that `layers.unpacking.workers` starts.

Rule 1: it only makes new files in directories whose open descriptors it is given: it knows no paths.
Rule 2: it stops at the first file of a batch that it cannot make, and says so; the caller then makes that file itself,
        and meets the error.
Rule 3: it ends when no caller is left, and checks that before each batch; a batch is a few milliseconds of work.

It imports as little as it can, for it is started while somebody waits. `socket` would take as long as everything else
together, and a megabyte, so the C module that it wraps is used.
"""

from __future__ import annotations

import mmap
import os
import select
import struct
from _socket import CMSG_SPACE, SCM_RIGHTS, SOL_SOCKET, socket

from headway.layers.trees.inline import INLINE

READY = b"ready\n"
"""Sent once it is ready for requests."""

SLOT = 1 << 17
"""Bytes of a slot, which holds the files of one batch, each after its `RECORD` and its name."""

SLOTS = 4

RECORD = struct.Struct("<HHHIq")
"""A file: length of its name, number of its directory in the batch, mode, length, time of change in nanoseconds."""

BATCH = struct.Struct("<HH")
"""A request: a slot, and how many files are in it. The descriptors of the directories come with it."""

DONE = struct.Struct("<HHH")
"""The answer: the slot, how many files were made, and how many of these have a length and no block (`Footprint`)."""

_INT = struct.Struct("i")

DIRECTORIES = 64
"""Most directories of one batch; the kernel takes 253 descriptors."""

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a layer's file is opened: it is never one that was there."""


def main(control: int) -> None:
    """Serve those whose sockets come through `control`, until that is closed."""
    os.umask(0)
    listening = socket(fileno=control)
    listening.send(READY)
    askers: dict[int, _Asker] = {}
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if control in ready:
            _, descriptors = _receive(listening, 1, 2)
            if not descriptors:
                return
            asker = _Asker(*descriptors)
            askers[asker.descriptor] = asker
            poll.register(asker.descriptor, select.POLLIN)
        for descriptor in ready - {control}:
            if not askers[descriptor].serve():
                poll.unregister(descriptor)
                askers.pop(descriptor).close()


def _receive(link: socket, length: int, most: int) -> tuple[bytes, tuple[int, ...]]:
    """Return a message and the descriptors that came with it."""
    message, rights, *_ = link.recvmsg(length, CMSG_SPACE(most * _INT.size))
    return message, tuple(
        descriptor
        for level, kind, data in rights
        if (level, kind) == (SOL_SOCKET, SCM_RIGHTS)
        for (descriptor,) in _INT.iter_unpack(data)
    )


class _Asker:
    """One layer: a socket for the requests, and the shared memory with the files."""

    def __init__(self, link: int, memory: int) -> None:
        self.descriptor = link
        self._link = socket(fileno=link)
        self._memory = mmap.mmap(memory, SLOT * SLOTS)
        self._slots = memoryview(self._memory)
        os.close(memory)

    def serve(self) -> bool:
        """Do one batch; return False if there are no more requests."""
        asked, directories = _receive(self._link, BATCH.size, DIRECTORIES)
        try:
            if not asked:
                return False
            slot, count = BATCH.unpack(asked)
            done, inline = make(self._slots[slot * SLOT : (slot + 1) * SLOT], count, directories)
            self._link.send(DONE.pack(slot, done, inline))
        except ConnectionError:
            return False
        finally:
            for each in directories:
                os.close(each)
        return True

    def close(self) -> None:
        """Close the socket and the memory."""
        self._slots.release()
        self._memory.close()
        self._link.close()


def make(slot: memoryview, count: int, directories: tuple[int, ...]) -> tuple[int, int]:
    """Make the files of a slot; return how many, up to the first that cannot be made, and how many have no block."""
    at = inline = 0
    for number in range(count):
        named, directory, mode, length, mtime_ns = RECORD.unpack_from(slot, at)
        at += RECORD.size
        name = bytes(slot[at : at + named])
        at += named
        try:
            inline += _make(directories[directory], name, mode, slot[at : at + length], mtime_ns)
        except OSError:
            return number, inline
        at += length
    return count, inline


def _make(directory: int, name: bytes, mode: int, content: memoryview, mtime_ns: int) -> bool:
    """Make a file, or nothing; tell whether its content took no block."""
    descriptor = os.open(name, NEW_FILE, mode, dir_fd=directory)
    length = len(content)
    try:
        while content:
            content = content[os.write(descriptor, content) :]
        os.utime(descriptor, ns=(mtime_ns, mtime_ns))
        return 0 < length < INLINE and not os.fstat(descriptor).st_blocks
    except OSError:
        os.unlink(name, dir_fd=directory)
        raise
    finally:
        os.close(descriptor)
