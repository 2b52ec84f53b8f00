"""An open ingest: takes pieces of a blob in any order, and gives its unbroken prefix to followers.

Rule 1: a piece is written before its record. When `write_at` returns, its bytes are recorded; if the disk becomes full,
        so is the part of them that was written.
Rule 2: a record is written at its own offset, not appended: the next record overwrites one that was cut short, and a
        record that grows overwrites itself.
Rule 3: descriptors are closed only when no call uses them any more, so that a write cannot hit another file that got
        the same number.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Condition, Lock

from headway.distribution.ranges import Ranges
from headway.errors import StoreCorruptError, StoreError
from headway.oci.digest import Digest
from headway.store.content.journal import HEADER_LENGTH, RECORD_LENGTH, Record, encode_record, grown, may_grow
from headway.store.durable import fsync_directory
from headway.store.failures import disk_error, disk_errors

_READ_LIMIT = 1 << 20

PositionedWrite = Callable[[int, bytes, int], int]
"""`os.pwrite`, or a replacement in tests of full disks."""


class FileIngest:
    """`Ingest` as a directory with ``data`` and ``journal``; made by `FileIngestStore.open`.

    Args:
        digest: Digest of the whole blob.
        size: Its length, in bytes.
        directory: Directory of the two files.
        target: Path of the blob once it is committed.
        held: The bytes that are held according to the journal.
        unsynced: How many of them may not be on the disk yet.
        write: Writes bytes at an offset.
        left: Called once, when the ingest is closed.
    """

    def __init__(
        self,
        *,
        digest: Digest,
        size: int,
        directory: Path,
        target: Path,
        held: Ranges,
        unsynced: int,
        write: PositionedWrite,
        left: Callable[[], None],
    ) -> None:
        self.digest = digest
        self.size = size
        self._directory = directory
        self._target = target
        self._held = held
        self._unsynced = unsynced
        self._is_promised = bool(held.total)
        self._write = write
        self._left = left
        self._lock = Lock()
        self._changed = Condition(self._lock)  # followers wait for it
        self._unused = Condition(self._lock)  # `close` waits for it
        self._users = 0
        self._closed = False
        self._generation = 0
        self._named = False
        with ExitStack() as failed:
            self._data = os.open(directory / "data", os.O_RDWR | os.O_CLOEXEC)
            failed.callback(os.close, self._data)
            self._journal = os.open(directory / "journal", os.O_WRONLY | os.O_CLOEXEC)
            failed.pop_all()
        records = os.fstat(self._journal).st_size - HEADER_LENGTH
        self._journal_end = HEADER_LENGTH + records - records % RECORD_LENGTH
        self._growing: dict[int, tuple[int, Record]] = {}  # by the end of a piece: offset in the journal, and record

    def held(self) -> Ranges:
        """See `Ingest.held`."""
        with self._lock:
            return self._held.copy()

    def unsynced(self) -> int:
        """Return how many recorded bytes a power cut could take."""
        return self._unsynced

    def write_at(self, offset: int, data: bytes) -> int:
        """Write `data` and record it; return how many of its bytes were not held before."""
        length = len(data)
        if offset < 0 or offset + length > self.size:
            raise StoreError(f"{length} bytes at {offset} do not fit a blob of {self.size}")
        if not length:
            return 0
        # Inlines `_using` and `disk_errors`, as this runs for every receive.
        with self._lock:
            self._require_open()
            self._users += 1
            generation, growing = self._generation, self._growing
            place, before = growing.pop(offset, (None, None))
        fresh = 0
        try:
            written, failure = self._write_what_fits(self._data, data, offset)
            piece = data if failure is None else data[:written]
            record = grown(before, offset, piece)
            with self._lock:
                # If the ingest became suspect meanwhile, this write does not count.
                if written and generation == self._generation:
                    if growing is not self._growing:  # the record before it was synced meanwhile, and must not grow
                        place, record = None, grown(None, offset, piece)
                    self._record(record, place)
                    self._unsynced += written
                    fresh = self._held.add(offset, offset + written)
                    self._changed.notify_all()
            if failure is not None:
                raise failure
        except OSError as error:
            raise disk_error(error, self._directory) from error
        finally:
            self._release()
        return fresh

    def _record(self, record: Record, place: int | None) -> None:
        """Write a record at its offset in the journal, or behind all others if it is new."""
        at = self._journal_end if place is None else place
        _, unrecorded = self._write_what_fits(self._journal, encode_record(record), at)
        if unrecorded is not None:
            raise unrecorded
        self._journal_end = max(self._journal_end, at + RECORD_LENGTH)
        if may_grow(record):
            self._growing[record.offset + record.length] = at, record

    def _write_what_fits(self, descriptor: int, data: bytes, offset: int) -> tuple[int, OSError | None]:
        """Return how many bytes of `data` were written, and the error if these were not all."""
        try:
            written = self._write(descriptor, data, offset)
        except OSError as error:
            return 0, error
        while written < len(data):
            try:
                written += self._write(descriptor, data[written:], offset + written)
            except OSError as error:
                return written, error
        return written, None

    def read_at(self, offset: int, length: int) -> bytes:
        """Return what is held from `offset` on; what is not held may be anything."""
        with self._using(), disk_errors(self._directory):
            return os.pread(self._data, length, offset)

    def follow(self) -> FileFollower:
        """Return a new reader from the first byte on."""
        return FileFollower(self, self._generation)

    def is_over(self, follower: FileFollower) -> bool:
        """Tell whether a follower was stopped, or the ingest was closed or became suspect since it began."""
        return follower.stopped or self._closed or follower.generation != self._generation

    def is_ready(self, follower: FileFollower) -> bool:
        """Tell whether `read_for` would return, or raise, without waiting."""
        offset = follower.position
        with self._lock:
            return self.is_over(follower) or offset == self.size or self._held.held_from(offset) > offset

    def read_for(self, follower: FileFollower, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes for a follower, waiting until they are held; ``b""`` at the end.

        Raises:
            InterruptedError: `is_over`.
            StoreError: The disk failed.
        """
        offset = follower.position
        with self._changed:
            while not self.is_over(follower):
                end = self._held.held_from(offset)
                if end > offset or offset == self.size:
                    self._users += 1
                    break
                self._changed.wait()
            else:
                raise InterruptedError(f"{self.digest} is not followed any more")
        try:
            with disk_errors(self._directory):
                data = os.pread(self._data, min(limit, _READ_LIMIT, end - offset), offset)
        finally:
            self._release()
        if not data and offset < self.size:
            raise StoreCorruptError(f"{self._directory}/data ends at {offset}")
        return data

    def wake(self) -> None:
        """Wake every waiting follower."""
        with self._changed:
            self._changed.notify_all()

    def sync(self) -> None:
        """Make everything recorded so far survive a power cut; of a closed one, nothing has to."""
        with self._lock:
            if self._closed:
                return
            self._users += 1
            self._is_promised = True
        try:
            with disk_errors(self._directory):
                self._sync()
        finally:
            self._release()

    def _sync(self) -> None:
        with self._lock:  # in one step: records that are counted as synced must not grow from now on
            recorded, self._growing = self._unsynced, {}
        os.fdatasync(self._data)
        os.fdatasync(self._journal)
        if not self._named:
            fsync_directory(self._directory)
            fsync_directory(self._directory.parent)
            self._named = True
        with self._lock:
            self._unsynced = max(0, self._unsynced - recorded)

    def suspect(self) -> None:
        """Count nothing as held any more, because the whole had another digest; followers are stopped."""
        with self._using(), disk_errors(self._directory):
            with self._changed:
                self._generation += 1
                self._held = Ranges()
                self._unsynced = 0
                os.ftruncate(self._journal, HEADER_LENGTH)
                self._journal_end = HEADER_LENGTH
                self._growing = {}
                self._changed.notify_all()
            # Otherwise a power cut could bring the bad pieces back, with records that match them.
            os.fdatasync(self._journal)

    def commit(self) -> None:
        """Publish as a blob: the caller has verified the digest. The ingest is closed and gone."""
        with self._using(), disk_errors(self._target):
            missing = self.size - self._held.total
            if missing:
                raise StoreError(f"{self.digest} lacks {missing} of {self.size} bytes")
            os.fsync(self._data)
            os.rename(self._directory / "data", self._target)
            fsync_directory(self._target.parent)
        self._end(keep=False)

    def discard(self) -> None:
        """Close and remove it."""
        self._end(keep=False)

    def discard_unless_synced(self) -> bool:
        """Close and remove it where a power cut could take all of it anyway; tell whether that was so."""
        return self._end(keep=False, unless_promised=True)

    def close(self) -> None:
        """Close and keep it, or remove it if it holds no byte. Followers are stopped."""
        self._end(keep=True)

    def _end(self, *, keep: bool, unless_promised: bool = False) -> bool:
        """Close it once no call uses it any more; tell whether this call has closed it."""
        with self._changed:
            if self._closed or (unless_promised and self._is_promised):
                return False
            self._closed = True
            self._changed.notify_all()
            while self._users:
                self._unused.wait()
            keep = keep and bool(self._held.total)  # only now: a write may have been running before
        try:
            with disk_errors(self._directory):
                os.close(self._journal)
                os.close(self._data)
                if not keep:
                    remove_ingest(self._directory)
        finally:
            self._left()
        return True

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Keep the descriptors open during the block."""
        with self._lock:
            self._require_open()
            self._users += 1
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        with self._unused:
            self._users -= 1
            if not self._users:
                self._unused.notify_all()

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError(f"the ingest of {self.digest} is closed")


class FileFollower:
    """`Follower` of a `FileIngest`.

    Attributes:
        position: How far it has read.
        stopped: Whether `stop` was called.
        generation: How often the ingest had become suspect when this follower began.
    """

    def __init__(self, ingest: FileIngest, generation: int) -> None:
        self._ingest = ingest
        self.generation = generation
        self.position = 0
        self.stopped = False

    @property
    def is_stopped(self) -> bool:
        """Whether `read` would raise InterruptedError."""
        return self._ingest.is_over(self)

    def ready(self) -> bool:
        """Tell whether `read` would return without waiting."""
        return self._ingest.is_ready(self)

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, waiting until they are held; ``b""`` at the end of the blob."""
        data = self._ingest.read_for(self, limit)
        self.position += len(data)
        return data

    def stop(self) -> None:
        """See `Follower.stop`."""
        self.stopped = True
        self._ingest.wake()


def remove_ingest(directory: Path) -> None:
    """Remove an ingest's files, the journal first: without it, the rest of an interrupted removal holds nothing."""
    for name in ("journal", "journal.new", "data"):
        (directory / name).unlink(missing_ok=True)
    directory.rmdir()
