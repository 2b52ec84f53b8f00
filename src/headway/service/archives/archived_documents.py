"""The small files of an archive that is being loaded: manifests, configs, indexes, and any file that may be one.

Rule: JSON documents are kept in memory up to a limit in all, and other small files while there is room: only the
      documents tell what such a file is. A file for which there is no room is taken for a layer, as every large one is.
"""

from __future__ import annotations

from headway.errors import InvalidArchiveError
from headway.oci.image_archive import INDEX, ITEMS
from headway.oci.image_config import MAX_CONFIG_BYTES
from headway.service.archives.layer_sources import Peeked

SMALL_BYTES = 1 << 16
"""A file up to this length is kept in memory, whatever it is, while there is room."""

MEMORY_BYTES = 64 << 20
"""Bytes that all files in memory may take together: a thousand images have a few megabytes of documents."""

ROOM_BYTES = 16 << 20
"""Bytes of it that files other than JSON may take: a hundred images may have a thousand layers of tens of kilobytes."""

_LINKS = 16  # that are followed for one name


class Documents:
    """Small files of an archive, by name.

    Attributes:
        missed: Whether something was asked for, since `begin`, that has not come yet.
        changed: Whether something that was read since `begin` would read differently now.
    """

    def __init__(self) -> None:
        self._content: dict[str, bytes] = {}
        self._links: dict[str, str] = {}
        self._size = 0
        self._read: set[str] = set()
        self._followed: set[str] = set()
        self.missed = False
        self.changed = True

    def begin(self) -> None:
        """Start to take note of what is read; to be called before the first document is read, or read again."""
        self._read.clear()
        self._followed.clear()
        self.missed = self.changed = False

    def takes(self, name: str, size: int, source: Peeked) -> bool:
        """Tell whether to keep a file, as a document or as what may be one, by its length and its first byte."""
        limit = MEMORY_BYTES if name in (ITEMS, INDEX) else MAX_CONFIG_BYTES  # those two describe all images
        if size <= limit and source.peek(1) in (b"{", b"["):
            return True
        return size <= SMALL_BYTES and self._size + size <= ROOM_BYTES

    def add(self, name: str, data: bytes) -> None:
        """Keep a file; a later one of the same name replaces it, as in an unpacked tar.

        Raises:
            InvalidArchiveError: The files kept exceed `MEMORY_BYTES`.
        """
        self._size += len(data) + len(name)
        if self._size > MEMORY_BYTES:
            raise InvalidArchiveError(f"its documents are longer than {MEMORY_BYTES >> 20} MiB")
        self._content[name] = data
        self.changed = self.changed or name in self._read

    def link(self, name: str, target: str) -> None:
        """Keep a link: `name` is another name of `target`."""
        self.add(name, b"")
        del self._content[name]
        self._links[name] = target
        self.changed = self.changed or name in self._followed

    def resolve(self, name: str) -> str:
        """Return the file that a name stands for.

        Raises:
            InvalidArchiveError: Links lead in a circle.
        """
        for _ in range(_LINKS):
            self._followed.add(name)
            if name not in self._links:
                return name
            name = self._links[name]
        raise InvalidArchiveError(f"{name!r} is a link that leads in a circle")

    def read(self, name: str) -> bytes | None:
        """Return a file's content, links followed; None where there is none, which `missed` remembers."""
        file = self.resolve(name)
        self._read.add(file)
        data = self._content.get(file)
        self.missed = self.missed or data is None
        return data
