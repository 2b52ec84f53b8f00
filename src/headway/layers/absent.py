"""What a layer has and its tree on disk has not: devices that could not be made, hard links into lower layers.

Rule: an entry that comes later under the same name, or that removes the directory, takes them away as if they were
there.
"""

from __future__ import annotations


class Absent:
    """Records by directory and name, so that what a removed directory held goes without a search."""

    def __init__(self) -> None:
        self._directories: dict[bytes, dict[bytes, tuple[int, int, int] | bytes]] = {}

    def __bool__(self) -> bool:
        return bool(self._directories)

    def __len__(self) -> int:
        return sum(map(len, self._directories.values()))

    def add_device(self, path: bytes, mode: int, major: int, minor: int) -> None:
        """Record a device; `mode` includes its kind."""
        self._add(path, (mode, major, minor))

    def add_link(self, path: bytes, target: bytes) -> None:
        """Record a hard link to what only a lower layer has."""
        self._add(path, target)

    def get(self, path: bytes) -> tuple[int, int, int] | bytes | None:
        """Return mode, major and minor of the device or the target of the link at `path`."""
        above, _, name = path.rpartition(b"/")
        return self._directories.get(above, {}).get(name)

    def forget(self, path: bytes) -> bool:
        """Drop what is recorded for `path`; tell whether anything was."""
        above, _, name = path.rpartition(b"/")
        records = self._directories.get(above)
        if records is None or records.pop(name, None) is None:
            return False
        if not records:
            del self._directories[above]
        return True

    def forget_in(self, directory: bytes) -> list[bytes]:
        """Drop what is recorded in a directory that is gone; return the paths."""
        return [directory + b"/" + name for name in self._directories.pop(directory, {})]

    def devices(self) -> list[tuple[bytes, int, int, int]]:
        """Return path, mode, major and minor of each device."""
        return [
            (path, record[0], record[1], record[2]) for path, record in self._all() if not isinstance(record, bytes)
        ]

    def links(self) -> list[tuple[bytes, bytes]]:
        """Return path and target of each link."""
        return [(path, record) for path, record in self._all() if isinstance(record, bytes)]

    def _add(self, path: bytes, record: tuple[int, int, int] | bytes) -> None:
        above, _, name = path.rpartition(b"/")
        self._directories.setdefault(above, {})[name] = record

    def _all(self) -> list[tuple[bytes, tuple[int, int, int] | bytes]]:
        return [
            (above + b"/" + name if above else name, record)
            for above, records in self._directories.items()
            for name, record in records.items()
        ]
