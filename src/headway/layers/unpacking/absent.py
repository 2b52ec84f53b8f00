"""Entries of a layer that its tree on disk lacks: devices that could not be made, hard links into lower layers.

Rule: an entry that comes later under the same name, or that removes the directory, takes them away as if they were
there.
"""

from __future__ import annotations

from headway.layers.unpacking.remembered import units


class Absent:
    """Records by directory and name, so that what a removed directory held goes without a search.

    Attributes:
        units: What they take up, see `Remembered`.
    """

    def __init__(self) -> None:
        self.units = 0
        self._directories: dict[bytes, dict[bytes, tuple[int, int, int] | bytes]] = {}

    def __bool__(self) -> bool:
        return bool(self._directories)

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
        record = None if records is None else records.pop(name, None)
        if record is None:
            return False
        self.units -= _units(path, record)
        if not records:
            del self._directories[above]
        return True

    def holds(self, directory: bytes) -> bool:
        """Tell whether anything is recorded in a directory."""
        return directory in self._directories

    def forget_in(self, directory: bytes) -> list[bytes]:
        """Drop what is recorded in a directory that is gone; return the paths."""
        gone = {directory + b"/" + name: record for name, record in self._directories.pop(directory, {}).items()}
        self.units -= sum(_units(path, record) for path, record in gone.items())
        return list(gone)

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
        self.forget(path)
        self._directories.setdefault(above, {})[name] = record
        self.units += _units(path, record)

    def _all(self) -> list[tuple[bytes, tuple[int, int, int] | bytes]]:
        return [
            (above + b"/" + name if above else name, record)
            for above, records in self._directories.items()
            for name, record in records.items()
        ]


def _units(path: bytes, record: tuple[int, int, int] | bytes) -> int:
    return units(len(path) + (len(record) if isinstance(record, bytes) else 0))
