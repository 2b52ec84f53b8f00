"""Reads what is recorded the way it is used: a bit that has changed in a text is found by nothing less.

Rule: each kind of row whose text means something is read here.
"""

from __future__ import annotations

from headway.store import rw_rows
from headway.store.containers import SqliteContainerStore
from headway.store.database import Database
from headway.store.events import SqliteEventLog
from headway.store.images import SqliteImageStore
from headway.store.layer_rows import decode_report
from headway.store.pulls import SqlitePullStore

_REPORTS = "SELECT report FROM trees UNION ALL SELECT report FROM chains WHERE report IS NOT NULL"


def read_back(database: Database) -> None:
    """Read every record.

    Raises:
        StoreCorruptError: One of them is not what was written.
        StoreError: The disk failed.
    """
    database.read_all()
    for (report,) in database.query(_REPORTS):
        decode_report(report)
    SqliteImageStore(database).list()
    rw_rows.every(database)
    SqliteContainerStore(database).list()
    SqlitePullStore(database).list()
    SqliteEventLog(database).behind(0)
