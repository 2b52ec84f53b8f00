"""A disk that remembers what was written to it and when it was flushed, and what a power cut would leave of that.

It is a file behind FUSE (include/uapi/linux/fuse.h), which the kernel's loop driver takes for a disk with a volatile
cache: every write and every flush of the file system on it comes by here, in order. Needs root.

Rule: what was written before a flush is there after a power cut. Of what came later, any part may be there or not, in
blocks of 4 KiB: that is what a disk with a cache promises, and no more.
"""

from __future__ import annotations

import bisect
import ctypes
import errno
import math
import os
import random
import stat
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

BLOCK = 4096
_MAX_WRITE = 128 * 1024
_ROOT, _FILE = 1, 2
_IN_HEADER = struct.Struct("<IIQQIIIHH")
_OUT_HEADER = struct.Struct("<IiQ")
_ATTR = struct.Struct("<6Q10I")
_READ_WRITE = struct.Struct("<QQI")  # the beginning of fuse_read_in and fuse_write_in
_BODY_OF_WRITE = _IN_HEADER.size + 40
_BIG_WRITES = 1 << 5
_SILENT = {2, 36, 42}  # FORGET, INTERRUPT, BATCH_FORGET


class Disk:
    """A disk of `size` bytes, without anything on it. A context manager.

    Args:
        place: An empty directory, to mount the file in.
        size: In bytes.

    Attributes:
        path: The file that is the disk.
    """

    def __init__(self, place: Path, size: int) -> None:
        self.path = place / "disk"
        self._place = place
        self._size = size
        self._blocks: dict[int, bytes] = {}
        self._log: list[tuple[int, bytes] | None] = []  # a write, or None for a flush
        self._times: list[float] = []
        self._answers: dict[int, Callable[[int, bytes], bytes]] = {
            1: lambda _, __: struct.pack("<4Q2I", _FILE, 0, 3600, 3600, 0, 0) + self._attributes(_FILE),  # LOOKUP
            3: lambda node, _: struct.pack("<QII", 3600, 0, 0) + self._attributes(node),  # GETATTR
            4: lambda node, _: struct.pack("<QII", 3600, 0, 0) + self._attributes(node),  # SETATTR
            14: lambda _, __: bytes(16),  # OPEN
            15: lambda _, body: self._read(body),
            16: lambda _, body: self._write(body),
            17: lambda _, __: struct.pack("<5Q3I", 0, 0, 0, 0, 0, BLOCK, 255, BLOCK) + bytes(28),  # STATFS
            18: lambda _, __: b"",  # RELEASE
            20: lambda _, __: self._flush(),  # FSYNC
            25: lambda _, __: b"",  # FLUSH: a close, which promises nothing
            26: lambda _, __: struct.pack("<4I2H3I", 7, 31, 65536, _BIG_WRITES, 8, 6, _MAX_WRITE, 1, 0) + bytes(28),
        }

    def __enter__(self) -> Self:
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"headway-test", os.fsencode(self._place), b"fuse", 0, options.encode()) != 0:
            code = ctypes.get_errno()
            os.close(self._device)
            raise OSError(code, f"mount of FUSE: {os.strerror(code)}")
        self._thread = threading.Thread(target=self._serve, name="disk", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", self._place], check=True)
        self._thread.join(10)
        os.close(self._device)

    @property
    def position(self) -> int:
        """How many writes and flushes have come so far: a moment, for `after_a_cut`."""
        return len(self._log)

    @property
    def flushes(self) -> int:
        """How many flushes have come so far."""
        return sum(entry is None for entry in self._log)

    def seconds(self, position: int) -> float:
        """When the write or flush after so many others came, by `time.monotonic`; infinity behind the last."""
        return self._times[position] if position < len(self._times) else math.inf

    def position_at(self, seconds: float) -> int:
        """How many writes and flushes had come by then."""
        return bisect.bisect_left(self._times, seconds)

    # --- the file ---

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self._device, _BODY_OF_WRITE + _MAX_WRITE + BLOCK)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                continue
            _, opcode, unique, node, *_ = _IN_HEADER.unpack_from(request)
            if opcode in _SILENT:
                continue
            answer = self._answers.get(opcode)
            body = b"" if answer is None else answer(node, request)
            code = -errno.ENOSYS if answer is None else 0
            os.writev(self._device, [_OUT_HEADER.pack(_OUT_HEADER.size + len(body), code, unique), body])

    def _attributes(self, node: int) -> bytes:
        mode = stat.S_IFDIR | 0o700 if node == _ROOT else stat.S_IFREG | 0o600
        size = 0 if node == _ROOT else self._size
        return _ATTR.pack(node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, BLOCK, 0)

    def _read(self, request: bytes) -> bytes:
        _, offset, length = _READ_WRITE.unpack_from(request, _IN_HEADER.size)
        end = min(offset + length, self._size)
        first, last = offset // BLOCK, -(-end // BLOCK)
        data = b"".join(self._blocks.get(number, bytes(BLOCK)) for number in range(first, last))
        return data[offset - first * BLOCK : end - first * BLOCK]

    def _write(self, request: bytes) -> bytes:
        _, offset, length = _READ_WRITE.unpack_from(request, _IN_HEADER.size)
        data = request[_BODY_OF_WRITE : _BODY_OF_WRITE + length]
        self._note((offset, data))
        _store(self._blocks, offset, data)
        return struct.pack("<II", length, 0)

    def _flush(self) -> bytes:
        self._note(None)
        return b""

    def _note(self, entry: tuple[int, bytes] | None) -> None:
        self._times.append(time.monotonic())
        self._log.append(entry)

    # --- after a cut ---

    def after_cuts(self, positions: Sequence[int], source: random.Random) -> Iterator[tuple[int, dict[int, bytes]]]:
        """Yield, for each moment in rising order, what may be on the disk when the power is cut there: its blocks."""
        safe: dict[int, bytes] = {}
        pending: list[tuple[int, bytes]] = []
        done = 0
        for position in sorted(positions):
            for entry in self._log[done:position]:
                if entry is not None:
                    pending.append(entry)
                    continue
                for offset, data in pending:
                    _store(safe, offset, data)
                pending.clear()
            done = position
            yield position, _with_some(safe, pending, source)


def _store(blocks: dict[int, bytes], offset: int, data: bytes) -> None:
    for number, start, piece in _pieces(offset, data):
        if len(piece) < BLOCK:
            before = blocks.get(number, bytes(BLOCK))
            piece = before[:start] + piece + before[start + len(piece) :]  # noqa: PLW2901
        blocks[number] = piece


def _pieces(offset: int, data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield data by block: its number, where in it the piece begins, the piece."""
    at = 0
    while at < len(data):
        number, start = divmod(offset + at, BLOCK)
        piece = data[at : at + BLOCK - start]
        yield number, start, piece
        at += len(piece)


def _with_some(safe: dict[int, bytes], pending: list[tuple[int, bytes]], source: random.Random) -> dict[int, bytes]:
    """Return what is there if only some of the pending blocks arrived: none, all, or each by chance."""
    blocks = dict(safe)
    share = source.choice((0.0, 0.1, 0.5, 0.9, 1.0))
    for offset, data in pending:
        for number, start, piece in _pieces(offset, data):
            if source.random() < share:
                _store(blocks, number * BLOCK + start, piece)
    return blocks


def write_blocks(blocks: dict[int, bytes], target: Path, size: int) -> None:
    """Write a disk's blocks as a sparse file."""
    with target.open("wb") as file:
        file.truncate(size)
        for number, piece in blocks.items():
            os.pwrite(file.fileno(), piece, number * BLOCK)


@contextmanager
def mounted(disk: Path, target: Path, *options: str) -> Iterator[Path]:
    """Mount a disk while the block runs; the kernel puts right what a cut has left."""
    target.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", ",".join(("loop", *options)), disk, target], check=True)
    try:
        yield target
    finally:
        subprocess.run(["umount", target], check=True)
