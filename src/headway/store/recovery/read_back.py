"""Decodes every record as its users do: only that finds a flipped bit inside a text.

Rule: each kind of row whose text means something is read here.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from headway.errors import StoreCorruptError
from headway.oci.digest import ChainID, DiffID, Digest, chain_id_over
from headway.oci.reference import Reference
from headway.store.containers import rw_rows
from headway.store.containers.containers import SqliteContainerStore
from headway.store.database.database import Database
from headway.store.database.failures import reads_a_row
from headway.store.database.schema import MIGRATIONS
from headway.store.events import SqliteEventLog
from headway.store.images import SqliteImageStore
from headway.store.pulls import SqlitePullStore
from headway.store.trees.layer_rows import decode_report

_COLUMNS = (
    "SELECT tables.name, columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns"
    " WHERE tables.type = 'table'"
)
_NAMES = "SELECT spelling FROM names UNION ALL SELECT spelling FROM lost_names"
_REPORTS = "SELECT report FROM trees UNION ALL SELECT report FROM chains WHERE report IS NOT NULL"


def read_back(database: Database) -> None:
    """Read every record.

    Raises:
        StoreCorruptError: One of them is not what was written.
        StoreError: The disk failed.
    """
    _require_columns(database)
    database.read_all()
    for chain in database.query("SELECT chain_id, parent, diff_id FROM chains"):
        _read_chain(chain)
    for (report,) in database.query(_REPORTS):
        decode_report(report)
    SqliteImageStore(database).list()
    for (spelling,) in database.query(_NAMES):
        _read_name(spelling)
    for (digest,) in database.query("SELECT digest FROM image_blobs"):
        _read_digest(digest)
    rw_rows.every(database)
    SqliteContainerStore(database).list()
    SqlitePullStore(database).list()
    SqliteEventLog(database).behind(0)


@reads_a_row("a chain of layers")
def _read_chain(row: tuple[str, str | None, str]) -> None:
    chain_id, parent, diff_id = row
    below = None if parent is None else ChainID(Digest(parent))
    if chain_id != chain_id_over(below, DiffID(Digest(diff_id))):  # or it might lead back to itself
        raise ValueError(f"{chain_id} is not that of {diff_id} over {parent}")


@reads_a_row("a name of an image")
def _read_name(spelling: str) -> None:
    Reference.parse(spelling)


@reads_a_row("the digest of a blob")
def _read_digest(digest: str) -> None:
    Digest.parse(digest)


def _require_columns(database: Database) -> None:
    """Refuse a database without some table or column: in a name of the schema, too, a bit may have changed."""
    with closing(sqlite3.connect(":memory:")) as new:
        for script in MIGRATIONS:
            new.executescript(script)
        lacking = set(new.execute(_COLUMNS)) - set(database.query(_COLUMNS))
    for table, column in sorted(lacking):
        raise StoreCorruptError(f"the database is damaged: it lacks {table}.{column}")
