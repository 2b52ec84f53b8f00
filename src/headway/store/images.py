"""Stores the records of images by ID, with what lists need.

Rule: listing reads one table and no config. An image is recorded after its config and its chain.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from headway.errors import NotFoundError
from headway.oci.digest import ALGORITHMS, ChainID, Digest, ImageID
from headway.oci.moment import microseconds
from headway.records import ImageRecord
from headway.store.database.abbreviations import bounds, can_begin
from headway.store.database.database import Database
from headway.store.database.failures import reads_a_row

_PREFIXES = tuple(f"{algorithm}:" for algorithm in ALGORITHMS)
_COLUMNS = "image_id, created, size, platform, chain_id, manifest, last_tagged, labels, parent"
_SELECT = f"SELECT {_COLUMNS} FROM images"  # noqa: S608  # built from the constant above
_INSERT = f"INSERT INTO images ({_COLUMNS}, created_microseconds)"
_decode_labels = msgspec.json.Decoder(dict[str, str]).decode


class SqliteImageStore:
    """`ImageStore` in the database's table ``images``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, image_id: ImageID) -> ImageRecord | None:
        """Return the record, or None."""
        rows = self._database.query(f"{_SELECT} WHERE image_id = ?", (image_id,))
        return _record(rows[0]) if rows else None

    def put(self, record: ImageRecord) -> None:
        """Record an image, or replace its record; its config and its chain are committed already.

        Raises:
            NotFoundError: Its parent is not here.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """
        try:
            with self._database.transaction():
                self._database.execute(
                    f"{_INSERT} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT (image_id) DO UPDATE SET created = excluded.created, size = excluded.size,"
                    " platform = excluded.platform, chain_id = excluded.chain_id, manifest = excluded.manifest,"
                    " last_tagged = excluded.last_tagged, labels = excluded.labels, parent = excluded.parent,"
                    " created_microseconds = excluded.created_microseconds",
                    _row(record),
                )
                self.add_blobs(record.image_id, {record.image_id, record.manifest or record.image_id})
        except sqlite3.IntegrityError as error:
            raise NotFoundError("image", record.parent or "") from error

    def add_blobs(self, image_id: ImageID, digests: Iterable[Digest]) -> None:
        """Let an image keep more blobs than its config and manifest: the indexes that led to it, layers' blobs.

        Raises:
            NotFoundError: No such image.
            StoreError: The disk failed.
        """
        try:
            with self._database.transaction():
                self._database.execute_each(
                    "INSERT INTO image_blobs (image_id, digest) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    [(image_id, digest) for digest in digests],
                )
        except sqlite3.IntegrityError as error:
            raise NotFoundError("image", image_id) from error

    def blobs_of(self, image_id: ImageID) -> list[Digest]:
        """Return the blobs that an image keeps: its config, its manifest, what was added; sorted."""
        sql = "SELECT digest FROM image_blobs WHERE image_id = ? ORDER BY digest"
        return [Digest(digest) for (digest,) in self._database.query(sql, (image_id,))]

    def set_last_tagged(self, image_id: ImageID, seconds: float) -> None:
        """Record when an image was tagged, seconds since the epoch; an unknown image is left alone."""
        self._database.execute("UPDATE images SET last_tagged = ? WHERE image_id = ?", (seconds, image_id))

    def children(self, image_id: ImageID) -> list[ImageID]:
        """Return the images whose recorded parent is this one, sorted."""
        rows = self._database.query("SELECT image_id FROM images WHERE parent = ? ORDER BY image_id", (image_id,))
        return [ImageID(Digest(child)) for (child,) in rows]

    def parents(self) -> set[ImageID]:
        """Return the images that are another image's parent."""
        rows = self._database.query("SELECT DISTINCT parent FROM images WHERE parent IS NOT NULL")
        return {ImageID(Digest(parent)) for (parent,) in rows}

    def search(self, prefix: str) -> list[ImageID]:
        """Return the images whose hex starts with `prefix` (``sha256:`` is optional), two at most."""
        starts = search_prefixes(prefix)
        rows = [
            row
            for start in starts
            for row in self._database.query(
                "SELECT image_id FROM images WHERE image_id >= ? AND image_id < ? ORDER BY image_id LIMIT 2",
                bounds(start),
            )
        ]
        return [ImageID(Digest(image_id)) for (image_id,) in rows[:2]]

    def list(self) -> list[ImageRecord]:
        """Return all, newest first."""
        rows = self._database.query(f"{_SELECT} ORDER BY created_microseconds DESC, image_id")
        return [_record(row) for row in rows]

    def count(self) -> int:
        """Return how many there are."""
        count: int = self._database.query("SELECT count(*) FROM images")[0][0]
        return count


def _row(record: ImageRecord) -> tuple[str | int | float | None, ...]:
    return (
        record.image_id,
        record.created,
        record.size,
        record.platform,
        record.chain_id,
        record.manifest,
        record.last_tagged,
        None if record.labels is None else msgspec.json.encode(record.labels).decode(),
        record.parent,
        microseconds(record.created),
    )


@reads_a_row("the record of an image")
def _record(
    row: tuple[str, str, int, str, str | None, str | None, float, str | None, str | None],
) -> ImageRecord:
    image_id, created, size, platform, chain_id, manifest, last_tagged, labels, parent = row
    return ImageRecord(
        image_id=ImageID(Digest(image_id)),
        created=created,
        size=size,
        platform=platform,
        chain_id=None if chain_id is None else ChainID(Digest(chain_id)),
        manifest=None if manifest is None else Digest(manifest),
        last_tagged=last_tagged,
        labels=None if labels is None else _decode_labels(labels),
        parent=None if parent is None else ImageID(Digest(parent)),
    )


def search_prefixes(prefix: str) -> tuple[str, ...]:
    """Return the prefixes of the IDs that an abbreviation may mean; empty if it is none (moby-behaviour 5.1)."""
    for algorithm in _PREFIXES:
        if prefix.startswith(algorithm):
            digits = prefix.removeprefix(algorithm)
            return (prefix,) if can_begin(digits) else ()
    return tuple(algorithm + prefix for algorithm in _PREFIXES) if can_begin(prefix) else ()
