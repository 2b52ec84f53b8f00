"""Rows of the table ``rw_layers``: from and to records of read-write layers."""

from __future__ import annotations

import sqlite3

import msgspec

from headway.container_records import RwLayerRecord
from headway.errors import ConflictError, MountNotFoundError
from headway.oci.digest import ChainID, Digest
from headway.store.database.database import Database
from headway.store.database.failures import reads_a_row
from headway.store.trees.layer_rows import decode_report, encode_report

_COLUMNS = "name, mount_id, chain_id, driver, init_report, storage_opt, mount_label, is_removing"
_SELECT = f"SELECT {_COLUMNS} FROM rw_layers"  # noqa: S608  # a constant
_INSERT = f"INSERT INTO rw_layers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # a constant


def insert(database: Database, record: RwLayerRecord) -> None:
    """Record a layer.

    Raises:
        ConflictError: Its name is taken.
        StoreError: The disk failed.
    """
    report = None if record.init_report is None else encode_report(record.init_report)
    options = msgspec.json.encode(record.storage_opt).decode()
    label, removing = record.mount_label, int(record.is_removing)
    row = (record.name, record.mount_id, record.chain_id, record.driver, report, options, label, removing)
    try:
        database.execute(_INSERT, row)
    except sqlite3.IntegrityError as error:
        raise ConflictError(f"mount already exists with name: {record.name}") from error


def find(database: Database, name: str) -> RwLayerRecord | None:
    """Return the record of a layer; None where there is none."""
    rows = database.query(f"{_SELECT} WHERE name = ?", (name,))
    return _record(rows[0]) if rows else None


def get(database: Database, name: str) -> RwLayerRecord:
    """Return the record of a layer.

    Raises:
        MountNotFoundError: There is none.
    """
    record = find(database, name)
    if record is None:
        raise MountNotFoundError(name)
    return record


def is_here(database: Database, mount_id: str) -> bool:
    """Tell whether a layer is recorded."""
    return bool(database.query("SELECT 1 FROM rw_layers WHERE mount_id = ?", (mount_id,)))


def every(database: Database) -> list[RwLayerRecord]:
    """Return every record, sorted by name."""
    return [_record(row) for row in database.query(f"{_SELECT} ORDER BY name")]


def is_kept_mounted(database: Database, name: str) -> bool:
    """Tell whether a layer is mounted to stay (`KeptMount`)."""
    return bool(database.query("SELECT 1 FROM mounts WHERE rw_layer = ? LIMIT 1", (name,)))


def mark_removing(database: Database, name: str) -> None:
    """Record that a layer's removal has begun.

    Raises:
        StoreError: The disk failed.
    """
    database.execute("UPDATE rw_layers SET is_removing = 1 WHERE name = ?", (name,))


def delete(database: Database, name: str) -> None:
    """Delete the record of a layer.

    Raises:
        StoreError: The disk failed.
    """
    database.execute("DELETE FROM rw_layers WHERE name = ?", (name,))


@reads_a_row("the record of a container's layer")
def _record(row: tuple[str, str, str | None, str, str | None, str, str, int]) -> RwLayerRecord:
    name, mount_id, chain_id, driver, init_report, storage_opt, mount_label, is_removing = row
    return RwLayerRecord(
        name=name,
        mount_id=mount_id,
        chain_id=None if chain_id is None else ChainID(Digest(chain_id)),
        driver=driver,
        init_report=None if init_report is None else decode_report(init_report),
        storage_opt=msgspec.json.decode(storage_opt, type=dict[str, str]),
        mount_label=mount_label,
        is_removing=bool(is_removing),
    )
