"""What `headway mount` has mounted, so that a later process can undo it, and nobody removes what it shows.

Rule: a row is there before its mount and goes after it. One whose mount is gone, as the kernel knows or because of a
reboot, is dropped at the next start.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from headway.oci.digest import ChainID, Digest, ImageID
from headway.records import KeptMount
from headway.store.database import Database

_COLUMNS = "target, image_id, chain_id, driver, rw_layer, count, place"
_SELECT = f"SELECT {_COLUMNS} FROM mounts"  # noqa: S608  # a constant
_REPLACE = f"INSERT OR REPLACE INTO mounts ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # a constant


class SqliteMountTable:
    """`MountTable` in the database's table ``mounts``. A target that is no text cannot be recorded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, mount: KeptMount) -> None:
        """Record a mount; one with the same target is replaced.

        Raises:
            StoreError: The disk failed.
        """
        row = (
            str(mount.target),
            mount.image_id,
            mount.chain_id,
            mount.driver,
            mount.rw_layer,
            mount.count,
            mount.place,
        )
        self._database.execute(_REPLACE, row)

    def get(self, target: Path) -> KeptMount | None:
        """Return what is recorded for a target."""
        rows = self._database.query(f"{_SELECT} WHERE target = ?", (str(target),))
        return _mount(rows[0]) if rows else None

    def delete(self, target: Path) -> None:
        """Forget it.

        Raises:
            StoreError: The disk failed.
        """
        self._database.execute("DELETE FROM mounts WHERE target = ?", (str(target),))

    def of_image(self, image_id: ImageID) -> list[KeptMount]:
        """Return those of one image, by target."""
        rows = self._database.query(f"{_SELECT} WHERE image_id = ? ORDER BY target", (image_id,))
        return [_mount(row) for row in rows]

    def recover(self, here: Callable[[], str], is_mounted: Callable[[KeptMount], bool]) -> None:
        """Drop the rows whose mount is gone; called with the writer lock held.

        Args:
            here: Returns this boot and mount namespace, as `KeptMount.place` names them.
            is_mounted: Tells whether a mount is still there; only asked about those that can be seen from here.

        Raises:
            StoreError: The disk failed.
        """
        for mount in self.list():
            is_of_this_boot = mount.place.partition(" ")[0] == here().partition(" ")[0]
            if not is_of_this_boot or (mount.place == here() and not is_mounted(mount)):
                self.delete(mount.target)

    def list(self) -> list[KeptMount]:
        """Return all, by target."""
        return [_mount(row) for row in self._database.query(f"{_SELECT} ORDER BY target")]


def _mount(row: tuple[str, str | None, str | None, str, str | None, int, str]) -> KeptMount:
    target, image_id, chain_id, driver, rw_layer, count, place = row
    return KeptMount(
        target=Path(target),
        image_id=None if image_id is None else ImageID(Digest(image_id)),
        chain_id=None if chain_id is None else ChainID(Digest(chain_id)),
        driver=driver,
        rw_layer=rw_layer,
        count=count,
        place=place,
    )
