"""Archives of images, written as a stream.

Rule: every file is root's, without a time: the same content gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headway.interfaces.archives import FileToWrite
from headway.layers.tar.writer import Member, archive, directory, file


def write_archive(files: Iterable[FileToWrite]) -> Iterator[bytes]:
    """Yield a tar of `files`, in pieces that are worth sending; it is an `interfaces.archives.WriteArchive`."""
    return archive(_members(files))


def _members(files: Iterable[FileToWrite]) -> Iterator[Member]:
    made: set[str] = set()
    for name, size, pieces in files:
        for parent in _parents(name):
            if parent not in made:
                made.add(parent)
                yield directory(parent.encode()), ()
        yield file(name.encode(), size), pieces


def _parents(name: str) -> Iterator[str]:
    parts = name.split("/")[:-1]
    for depth in range(len(parts)):
        yield "/".join(parts[: depth + 1])
