"""What `headway mount` has mounted, so that a later process can undo it, and nobody removes what it shows.

Rule: a row is there before its mount and goes after it. One whose mount is gone is dropped at the next start; of one
in another mount namespace nobody here can tell, and it is believed until the next boot.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from headway.container_records import KeptMount
from headway.errors import StoreError
from headway.oci.digest import ChainID, Digest, ImageID
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.failures import disk_errors
from headway.store.removal import move_out, remove_tree

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
            is_mounted: Tells whether a mount is still there; not asked about those that cannot be seen from here.

        Raises:
            StoreError: The disk failed.
        """
        for mount in self.list():
            is_of_this_boot = mount.place.partition(" ")[0] == here().partition(" ")[0]
            is_elsewhere = is_of_this_boot and mount.place != here()
            if not is_elsewhere and not is_mounted(mount):
                self.delete(mount.target)

    def list(self) -> list[KeptMount]:
        """Return all, by target."""
        return [_mount(row) for row in self._database.query(f"{_SELECT} ORDER BY target")]


def remove_litter(root: DataRoot, table: SqliteMountTable, ours: Callable[[], set[str]]) -> None:
    """Remove what lies in ``mounts/`` and belongs to no mount: an empty mount point, or a copy that was cut short.

    Args:
        root: The data root.
        table: What is mounted.
        ours: Returns every place where something of Headway's is mounted.

    Raises:
        StoreError: The disk failed.
    """
    with disk_errors(root.mounts):
        names = os.listdir(root.mounts)
        if not names:
            return
        known = {mount.target.name for mount in table.list() if mount.target.parent == root.mounts}
        mounted = ours()
        for name in names:
            of = name.removeprefix(".").removesuffix(".vfs")  # a copy's note lies beside it
            if of in known or os.path.realpath(root.mounts / of) in mounted:
                continue
            with suppress(StoreError):  # then the next start removes it
                if (private := move_out(root, root.mounts / name)) is not None:
                    remove_tree(private)


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
