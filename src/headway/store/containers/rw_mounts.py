"""Mounts read-write layers, each once, and counts its users in this process.

Rule: whether a layer is mounted is asked of the kernel, not read from a count. Counts die with the process; a mount
      that is to outlive it has a row in ``mounts``.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from threading import RLock

from headway.container_records import RwLayerRecord
from headway.errors import ConflictError, HeadwayError
from headway.store.containers import rw_rows
from headway.store.containers.rw_stacks import RwStacks
from headway.store.database.database import Database


class RwMounts:
    """Mounts layers by name, each once for all its users. Any thread may call.

    Args:
        database: Holds the layers' rows.
        stacks: Finds what a mount is made of.
    """

    def __init__(self, database: Database, stacks: RwStacks) -> None:
        self._database = database
        self._stacks = stacks
        self._lock = RLock()
        self._counts: Counter[str] = Counter()

    def mount(self, name: str) -> Path:
        """Mount a layer, or count one more user; see `RwLayer`."""
        with self._lock:
            record = rw_rows.get(self._database, name)
            if record.is_removing:
                raise ConflictError(f"{name} is being removed")
            place, driver = self._stacks.place(record), self._stacks.driver(record)
            if not driver.is_mounted(place.merged):
                self._stacks.have_init(record)
                driver.mount_rw(place, self._stacks.below(record))
            self._counts[name] += 1
            return place.merged

    def have_init(self, name: str) -> None:
        """Make a layer's init layer again where it is gone, unless the layer is being removed; see `RwStacks`."""
        with self._lock:
            record = rw_rows.get(self._database, name)
            if not record.is_removing:
                self._stacks.have_init(record)

    def unmount(self, name: str) -> None:
        """Take back one `mount` of this process; see `RwLayer`."""
        with self._lock:
            if not self._counts[name]:
                raise ConflictError(f"not mounted: {name}")
            if self._counts[name] == 1 and not rw_rows.is_kept_mounted(self._database, name):
                record = rw_rows.get(self._database, name)
                self._stacks.driver(record).unmount(self._stacks.place(record).merged)
            self._counts[name] -= 1

    def cleanup(self) -> None:
        """Unmount what this process has mounted and not unmounted; see `RwLayerStore`."""
        failures: list[HeadwayError] = []
        with self._lock:
            for name in [name for name, count in self._counts.items() if count]:
                self._counts[name] = 1
                try:
                    self.unmount(name)
                except HeadwayError as error:
                    failures.append(error)
        if failures:
            for other in failures[1:]:
                failures[0].add_note(str(other))
            raise failures[0]

    def end(self, name: str) -> RwLayerRecord:
        """Mark a layer as one that is being removed, so that nobody mounts it any more; return its record.

        Raises:
            NotFoundError: ``mount does not exist``.
            ConflictError: ``mount still active``.
            StoreError: The disk failed.
        """
        with self._lock:
            record = rw_rows.get(self._database, name)
            if self._counts[name] or rw_rows.is_kept_mounted(self._database, name):
                raise ConflictError(f"mount still active: {name}")
            rw_rows.mark_removing(self._database, name)
            return record

    def forget(self, name: str) -> None:
        """Drop the count of a layer that is gone."""
        del self._counts[name]
