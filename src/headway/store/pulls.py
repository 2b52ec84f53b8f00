"""Records of durable pulls: each is kept from before its first byte until long after its last."""

from __future__ import annotations

from headway import wire
from headway.errors import ConflictError, NotFoundError
from headway.interfaces.pulls import PullRecord
from headway.store.database.abbreviations import bounds, can_begin
from headway.store.database.database import Database
from headway.store.database.failures import reads_a_row

HISTORY = 200
"""How many pulls that have ended are kept."""


class SqlitePullStore:
    """`PullStore` in the database's table ``pulls``.

    Args:
        database: Holds the table.
        history: How many pulls that have ended are kept.
    """

    def __init__(self, database: Database, *, history: int = HISTORY) -> None:
        self._database = database
        self._history = history

    def put(self, record: PullRecord) -> None:
        """Record a pull; one with the same ID is replaced, and the oldest other ended ones beyond the history go."""
        with self._database.transaction():
            self._database.execute(
                "INSERT OR REPLACE INTO pulls (pull_id, created, has_ended, record) VALUES (?, ?, ?, ?)",
                (record.pull_id, record.created, int(record.state.has_ended), wire.encode(record).decode()),
            )
            if record.state.has_ended:
                # This one stays, though it may have begun before the machine knew the time, in 1970.
                self._database.execute(
                    "DELETE FROM pulls WHERE has_ended AND pull_id != ? AND pull_id NOT IN"
                    " (SELECT pull_id FROM pulls WHERE has_ended AND pull_id != ?"
                    " ORDER BY created DESC, pull_id LIMIT ?)",
                    (record.pull_id, record.pull_id, self._history - 1),
                )

    def get(self, prefix: str) -> PullRecord:
        """Return the pull with this ID, or the only one whose ID begins with `prefix`."""
        if not can_begin(prefix):
            raise NotFoundError("pull", prefix)
        rows = self._database.query(
            "SELECT record FROM pulls WHERE pull_id >= ? AND pull_id < ? LIMIT 2", bounds(prefix)
        )
        if not rows:
            raise NotFoundError("pull", prefix)
        if len(rows) > 1:
            raise ConflictError(f"several pulls have IDs that begin with {prefix}")
        return _record(rows[0][0])

    def list(self) -> list[PullRecord]:
        """Return every pull, newest first."""
        return [
            _record(text) for (text,) in self._database.query("SELECT record FROM pulls ORDER BY created DESC, pull_id")
        ]


@reads_a_row("the record of a pull")
def _record(text: str) -> PullRecord:
    return wire.decode(text.encode(), PullRecord)
