"""Reads archives of images: a stream of tar, a seekable tar, or a directory.

Rule 1: no file is ever written under a name from the archive: names are only looked up.
Rule 2: an archive that allows any order is read documents first, so that the reader knows which layers are wanted.
Rule 3: a fault of the archive itself is an `InvalidArchiveError`, whoever reads at that moment.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from itertools import islice
from pathlib import Path

from headway.errors import InvalidArchiveError, InvalidLayerError, StoreError
from headway.interfaces.files import Pieces, TarSource
from headway.layers.compression.expanding import HEAD, READ, Compression, detect, expand
from headway.layers.tar.entry import FILE, HARDLINK, NOTHING, SYMLINK, WITHOUT_BODY, Entry
from headway.layers.tar.header import BLOCK
from headway.layers.tar.reader import TarReader
from headway.oci.archive_names import clean_name, link_target

DOCUMENT_BYTES = 1 << 20
"""Where there is a choice, shorter files come before longer ones."""

MOST_FILES = 1_000_000
"""Of an archive whose list is kept in memory; a thousand images of the most layers have half as many."""

_HEADER_READ = 1 << 14


class ArchiveFile(Pieces):
    """One file of an archive; see `interfaces.archives.ArchivedFile`.

    Args:
        name: Its name, cleaned.
        size: In bytes.
        pieces: Its content, taken as it is read.
        link: The file that it is another name of.
    """

    def __init__(self, name: str, size: int = 0, pieces: Iterable[bytes | memoryview] = (), *, link: str = "") -> None:
        super().__init__(pieces)
        self.name = name
        self.size = size
        self.link = link


class StreamArchive:
    """A tar, compressed in any way, that is read once from its beginning.

    Args:
        source: Gives its bytes.
    """

    documents_first = False

    def __init__(self, source: TarSource) -> None:
        self._source = source

    def files(self) -> Iterator[ArchiveFile]:
        """Yield its files in their order."""
        with _archive_faults():
            reader = TarReader(expand(self._source, lambda _: None))
            found = False
            while (entry := reader.next()) is not None:
                found = True
                if (file := _file(entry, _guarded(reader.body()))) is not None:
                    yield file
            if not found:
                raise InvalidArchiveError("it is empty")


class FileArchive:
    """An uncompressed tar in a seekable file: unwanted content is not read.

    Args:
        file: Open for reading; it may be any length and is read from its beginning.
    """

    documents_first = True

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size

    def files(self) -> Iterator[ArchiveFile]:
        """Yield its files, documents first."""
        found = list(islice(self._scan(), MOST_FILES + 1))
        if len(found) > MOST_FILES:
            raise InvalidArchiveError(f"it holds more than {MOST_FILES} files")
        if not found:
            raise InvalidArchiveError("it is empty")
        for entry, at in sorted(found, key=lambda item: _turn(item[0].size)):
            if (file := _file(entry, self._body(at, entry.size))) is not None:
                yield file

    def _scan(self) -> Iterator[tuple[Entry, int]]:
        """Yield each entry and where its content begins, from header to header."""
        at = 0
        with _archive_faults():
            while True:
                reader = TarReader(self._from(at))
                entry = reader.next()
                if entry is None:
                    return
                if entry.sparse is not None:
                    raise InvalidArchiveError("it has sparse files")
                begin = at + reader.position
                entry.pax = entry.xattrs = NOTHING  # up to a mebibyte, that nobody asks for
                yield entry, begin
                size = 0 if entry.kind in WITHOUT_BODY else entry.size
                at = begin + size + -size % BLOCK
                if begin + size > self._size:
                    raise InvalidArchiveError("it is cut short: it ends inside a file's content")

    def _from(self, at: int) -> Iterator[bytes]:
        while data := self._read(at, _HEADER_READ):
            yield data
            at += len(data)

    def _body(self, at: int, size: int) -> Iterator[bytes]:
        end = at + size
        while at < end:
            data = self._read(at, min(READ, end - at))
            if not data:
                raise InvalidArchiveError("it is cut short: it ends inside a file's content")
            yield data
            at += len(data)

    def _read(self, at: int, limit: int) -> bytes:
        with _disk_faults():
            return os.pread(self._file.fileno(), limit, at)


class DirectoryArchive:
    """An OCI image layout, or an unpacked docker-archive. A symlink counts as the file it leads to.

    Args:
        directory: The top directory.
    """

    documents_first = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def files(self) -> Iterator[ArchiveFile]:
        """Yield its files, documents first."""
        with _disk_faults():
            found = sorted(self._walk(), key=lambda item: (_turn(item[1]), item[0]))
        for name, size in found:
            yield ArchiveFile(name, size, _content(self._directory / name))

    def _walk(self) -> Iterator[tuple[str, int]]:
        top = os.path.realpath(self._directory)
        waiting = [self._directory]
        while waiting:
            with os.scandir(waiting.pop()) as found:
                entries = list(found)
            for entry in entries:
                name = os.path.relpath(entry.path, self._directory)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif not os.path.realpath(entry.path).startswith(f"{top}/"):
                    raise InvalidArchiveError(f"{name!r} leads out of it, to {os.path.realpath(entry.path)!r}")
                elif entry.is_file():
                    yield name, entry.stat().st_size


def _turn(size: int) -> tuple[int, int]:
    """Return the sort key: documents, then the largest first, so that no large one is unpacked last and alone."""
    return (1, -size) if size > DOCUMENT_BYTES else (0, 0)


@contextmanager
def opened(path: Path) -> Iterator[FileArchive | DirectoryArchive | StreamArchive]:
    """Open the archive at a path.

    Raises:
        StoreError: It cannot be read.
    """
    if path.is_dir():
        yield DirectoryArchive(path)
        return
    with _disk_faults(path):
        file = path.open("rb", buffering=0)
    with file:
        yield stream(file) if _is_only_read_once(file) else FileArchive(file)


def _is_only_read_once(file: FileIO) -> bool:
    """Tell whether it is a pipe, or compressed."""
    with _disk_faults():
        is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        return not is_file or detect(os.pread(file.fileno(), HEAD, 0)) is not Compression.NONE


class _Handle:
    """A `TarSource` over an open file."""

    def __init__(self, file: FileIO) -> None:
        self._file = file

    def read(self, limit: int) -> bytes:
        with _disk_faults():
            return self._file.read(limit)


def stream(file: FileIO) -> StreamArchive:
    """Return the archive in an open file, from its current position: a pipe, standard input."""
    return StreamArchive(_Handle(file))


def _file(entry: Entry, body: Iterable[bytes | memoryview]) -> ArchiveFile | None:
    """Return an entry as a file; None for kinds that an archive of images has no use for."""
    name = clean_name(os.fsdecode(entry.name))
    if entry.kind == FILE:
        if entry.sparse is not None:
            raise InvalidArchiveError("it has sparse files")
        return ArchiveFile(name, entry.size, body)
    if entry.kind == SYMLINK:
        return ArchiveFile(name, link=link_target(name, os.fsdecode(entry.linkname)))
    if entry.kind == HARDLINK:
        return ArchiveFile(name, link=clean_name(os.fsdecode(entry.linkname)))
    return None


def _guarded(body: Iterable[memoryview]) -> Iterator[memoryview]:
    with _archive_faults():
        yield from body


def _content(path: Path) -> Iterator[bytes]:
    with _disk_faults(), path.open("rb", buffering=0) as file:
        while data := file.read(READ):
            yield data


@contextmanager
def _archive_faults() -> Iterator[None]:
    """Tell a fault of the archive from a fault of a layer in it."""
    try:
        yield
    except InvalidLayerError as error:
        raise InvalidArchiveError(str(error).replace("broken layer", "it is no tar, or a broken one,", 1)) from error


@contextmanager
def _disk_faults(what: Path | str = "the archive") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot read {what}: {error.strerror}") from error
