"""Hands a layer's small files to a worker: in batches, through memory that both see.

Rule: nobody waits for the worker while there is something to do: where no slot is free, the thread writes.
"""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from mmap import mmap
from typing import NamedTuple

from headway.errors import StoreError
from headway.layers.tar.entry import Entry
from headway.layers.trees.footprint import Footprint
from headway.layers.unpacking.handoff import Undone
from headway.layers.unpacking.worker import BATCH, DIRECTORIES, DONE, RECORD, SLOT, SLOTS

_FILES = 64  # in a batch: the worker is asked often enough to have work soon, and seldom enough for it to be cheap
_NAMED = 1 << 22  # bits: of 60,000 paths, one in 140 is taken for one that was there


class _Batch:
    """Files on their way into one slot."""

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.at = slot * SLOT
        self.end = self.at + SLOT
        self.files: list[tuple[Entry, bytes, int]] = []
        self.directories = array.array("i")
        self.above: bytes | None = None  # of the last file

    def enter(self, above: bytes, parent: int) -> int:
        """Return the number of a directory among those that go with the batch."""
        if above != self.above:
            self.directories.append(os.dup(parent))
            self.above = above
        return len(self.directories) - 1

    def let_go(self) -> None:
        """Close the directories."""
        for each in self.directories:
            os.close(each)
        del self.directories[:]


class Link(NamedTuple):
    """What a layer and a worker have in common.

    Attributes:
        socket: Where the worker is asked, and answers.
        memory: `SLOTS` slots that both see.
    """

    socket: socket.socket
    memory: mmap


class WorkerHandoff:
    """A `Handoff` to a worker.

    Args:
        connect: Returns a link to it, if one is to be had; called at most once, by the first file that is worth it.
        footprint: Counts what was made.
        worth: How many files the thread makes itself before.
    """

    def __init__(self, connect: Callable[[], Link | None], footprint: Footprint, *, worth: int) -> None:
        self.paths: set[bytes] = set()
        self.undone: list[Undone] = []
        self._connect = connect
        self._footprint = footprint
        self._left = worth
        self._link: Link | None = None
        self._free: list[int] = []
        self._batch: _Batch | None = None
        self._away: dict[int, _Batch] = {}
        self._named = bytearray(_NAMED // 8)  # a bit for each path that something has had, found by its hash

    def note(self, path: bytes) -> bool:
        """See `Handoff`; of a path that shares its bit with another one, this is not known, and it counts as old."""
        spot = hash(path) % _NAMED
        byte, bit = spot >> 3, 1 << (spot & 7)
        if self._named[byte] & bit:
            return False
        self._named[byte] |= bit
        return True

    def take(self, entry: Entry, parent: int, path: bytes, body: Iterable[memoryview]) -> bool:
        """See `Handoff`."""
        link = self._link or self._linked()
        if link is None:
            return False
        above, _, name = path.rpartition(b"/")
        length = RECORD.size + len(name) + entry.size
        batch = self._room(link, length)
        if batch is None:
            return False
        memory, at = link.memory, batch.at
        batch.at += length
        directory = batch.enter(above, parent)
        RECORD.pack_into(memory, at, len(name), directory, entry.mode, entry.size, entry.mtime_ns)
        at += RECORD.size
        memory[at : at + len(name)] = name
        at += len(name)
        batch.files.append((entry, path, at))
        for view in body:
            memory[at : at + len(view)] = view
            at += len(view)
        self.paths.add(path)
        return True

    def _linked(self) -> Link | None:
        """Return the link, made with the first file that is worth it; None before, and where there is none."""
        if self._left:
            self._left -= 1
            if not self._left:
                self._link = self._connect()
                self._free = list(range(SLOTS)) if self._link else []
        return self._link

    def _room(self, link: Link, length: int) -> _Batch | None:
        """Return a batch that takes so many bytes more, if a slot is free."""
        batch = self._batch
        if batch is not None:
            if batch.at + length <= batch.end and len(batch.files) < _FILES and len(batch.directories) < DIRECTORIES:
                return batch
            self._send(link, batch)
        if not self._free:
            self._collect(link, socket.MSG_DONTWAIT)
        self._batch = _Batch(self._free.pop()) if self._free else None
        return self._batch

    def settle(self) -> Iterator[Undone]:
        """See `Handoff`."""
        if self._link is not None:
            if self._batch is not None:
                self._send(self._link, self._batch)
            while self._away:
                self._collect(self._link, 0)
        while self.undone:
            undone = self.undone.pop(0)
            self.paths.discard(undone.path)
            yield undone

    def close(self) -> None:
        """See `Handoff`."""
        if self._batch is not None:
            self._batch.let_go()
        try:
            while self._away and self._link is not None:
                self._collect(self._link, 0)
        except StoreError:
            return  # it has ended, and writes nothing

    def _send(self, link: Link, batch: _Batch) -> None:
        self._batch = None
        try:
            socket.send_fds(link.socket, [BATCH.pack(batch.slot, len(batch.files))], batch.directories)
        except OSError:  # it has ended, or too many descriptors are on their way
            self._account(link, batch, 0, 0)
        else:
            self._away[batch.slot] = batch
        finally:
            batch.let_go()

    def _collect(self, link: Link, flags: int) -> None:
        """Take one answer, waiting for it unless `flags` say otherwise."""
        try:
            answer = link.socket.recv(DONE.size, flags)
        except BlockingIOError:
            return
        except ConnectionError:
            answer = b""
        if not answer:
            self._away.clear()
            raise StoreError("the process that writes a layer's small files has ended")
        slot, done, inline = DONE.unpack(answer)
        self._account(link, self._away.pop(slot), done, inline)

    def _account(self, link: Link, batch: _Batch, done: int, inline: int) -> None:
        """Count what was made of a batch, and keep what was not."""
        made = batch.files[:done]
        self._footprint.add_plain([entry.size for entry, _, _ in made], inline)
        self.paths.difference_update([path for _, path, _ in made])
        self.undone += [
            Undone(entry, path, link.memory[at : at + entry.size]) for entry, path, at in batch.files[done:]
        ]
        self._free.append(batch.slot)
