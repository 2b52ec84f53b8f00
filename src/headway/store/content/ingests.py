"""Keeps unfinished blobs on disk, and recovers what is left of them after a kill or a crash.

Rule: bytes that count as held are correct. Records of this boot can be trusted, since a write is visible to every later
      process until the machine goes down. Records of another boot are compared with their piece; pieces that differ are
      fetched again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from headway.crc32 import crc32
from headway.errors import FULL, ConflictError
from headway.oci.digest import Digest
from headway.store.content import journal
from headway.store.content.ingest import FileIngest, PositionedWrite
from headway.store.content.journal import Record
from headway.store.data_root import DataRoot, digests_of, names_in
from headway.store.failures import disk_errors
from headway.store.removal import move_out, remove_tree

_CHUNK = 1 << 20


class FileIngestStore:
    """`IngestStore` as directories ``ingest/<algorithm>-<hex>/``. A data root that is absent reads as empty.

    Between processes the data root's writer lock keeps an ingest from being open twice.

    Args:
        root: The data root.
        boot_id: What ``/proc/sys/kernel/random/boot_id`` says: a UUID that changes with every boot.
        write: Writes bytes at an offset of a file.
    """

    def __init__(self, root: DataRoot, *, boot_id: str, write: PositionedWrite = os.pwrite) -> None:
        self._root = root
        self._boot_id = bytes.fromhex(boot_id.strip().replace("-", ""))
        self._write = write
        self._lock = Lock()
        self._open: dict[Digest, FileIngest | None] = {}

    def open(self, digest: Digest, size: int) -> FileIngest:
        """Return the ingest for a blob, with the bytes of earlier attempts.

        An ingest that was begun with another size, or whose journal cannot be read, starts empty.
        """
        self._reserve(digest)
        directory = self._root.ingest(digest)
        try:
            with disk_errors(directory):
                records, synced = self._resume(directory, size)
                held = journal.held(records)
                ingest = FileIngest(
                    digest=digest,
                    size=size,
                    directory=directory,
                    target=self._root.blob(digest),
                    held=held,
                    unsynced=0 if synced else held.total,
                    write=self._write,
                    left=lambda: self._forget(digest),
                )
        except BaseException:
            self._forget(digest)
            raise
        with self._lock:
            self._open[digest] = ingest
        return ingest

    def _reserve(self, digest: Digest) -> None:
        with self._lock:
            if digest in self._open:
                raise ConflictError(f"the ingest of {digest} is open already")
            self._open[digest] = None

    def _forget(self, digest: Digest) -> None:
        with self._lock:
            self._open.pop(digest, None)

    def _resume(self, directory: Path, size: int) -> tuple[list[Record], bool]:
        """Return the records that are correct, and whether their pieces are on the disk; mend the files."""
        directory.mkdir(mode=0o700, exist_ok=True)
        found = _read_journal(directory)
        past = journal.decode(found)
        data = os.open(directory / "data", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            records: list[Record] = []
            if past is not None and past.size == size:
                available = os.fstat(data).st_size
                records = [record for record in past.records if record.offset + record.length <= available]
            other_boot = past is not None and past.boot_id != self._boot_id
            if other_boot:
                records = [record for record in records if _agrees(data, record)]
            if not records:
                os.ftruncate(data, 0)
        finally:
            os.close(data)
        true = journal.encode(self._boot_id, size, records)
        if found != true:
            try:
                _replace_journal(directory, true)
            except OSError as error:
                # A full disk takes no second journal. The old one does as well: as long as it names another boot,
                # whoever opens it compares every piece, those of this boot too.
                if not (error.errno in FULL and records and other_boot):
                    raise
                (directory / "journal.new").unlink(missing_ok=True)
        return records, other_boot

    def held(self, digest: Digest) -> int:
        """Return how many bytes an unfinished blob holds, 0 if there is none; nothing is verified."""
        with self._lock:
            ingest = self._open.get(digest)
        if ingest is not None:
            return ingest.held().total
        directory = self._root.ingest(digest)
        with disk_errors(directory):
            return _recorded(directory)

    def walk(self) -> Iterator[tuple[Digest, int, float]]:
        """Yield digest, bytes held and time of the last write (seconds since the epoch) of each ingest."""
        for digest in digests_of(name.replace("-", ":", 1) for name in names_in(self._root.ingests)):
            with disk_errors(self._root.ingests):
                try:
                    written = os.stat(self._root.ingest(digest) / "journal").st_mtime
                except (FileNotFoundError, NotADirectoryError):
                    continue  # the disk was full when it was begun
            yield digest, self.held(digest), written

    def discard(self, digest: Digest) -> None:
        """Remove one that is not open."""
        with self._lock:
            if digest in self._open:
                raise ConflictError(f"the ingest of {digest} is open")
            # Its name goes at once: whoever wants the blob now does not wait for the files, and is not refused.
            private = move_out(self._root, self._root.ingest(digest))
        if private is not None:
            remove_tree(private)


def _read_journal(directory: Path) -> bytes:
    try:
        return (directory / "journal").read_bytes()
    except FileNotFoundError:
        return b""


def _replace_journal(directory: Path, content: bytes) -> None:
    new = directory / "journal.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if len(content) > journal.HEADER_LENGTH:
            os.fsync(descriptor)  # it takes the place of records that are on the disk
    new.rename(directory / "journal")


def _recorded(directory: Path) -> int:
    """Return how many bytes are held according to a journal, as far as the data file is long enough for them."""
    past = journal.decode(_read_journal(directory))
    if past is None or not past.records:
        return 0
    try:
        available = os.stat(directory / "data").st_size
    except FileNotFoundError:
        return 0
    return journal.held(record for record in past.records if record.offset + record.length <= available).total


def _agrees(data: int, record: Record) -> bool:
    """Tell whether the piece on disk is the recorded one; it is not if a sector cannot be read."""
    position, end, crc = record.offset, record.offset + record.length, 0
    while position < end:
        try:
            chunk = os.pread(data, min(_CHUNK, end - position), position)
        except OSError:
            return False
        if not chunk:
            return False
        crc = crc32(chunk, crc)
        position += len(chunk)
    return crc == record.crc
