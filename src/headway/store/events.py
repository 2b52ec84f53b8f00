"""The event log, in the database.

Rule: an event is recorded in the transaction of its change, so that no crash leaves one without the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from headway.records import Event
from headway.store.database.database import Database
from headway.store.database.failures import reads_a_row

HISTORY = 1_000
"""How many events are kept; Docker keeps 256, in memory."""

_decode_attributes = msgspec.json.Decoder(dict[str, str]).decode


class SqliteEventLog:
    """`EventLog` in the database's table ``events``.

    Args:
        database: Holds the table.
        history: How many events are kept.
    """

    def __init__(self, database: Database, *, history: int = HISTORY) -> None:
        self._database = database
        self._history = history

    def append(
        self, clock: Callable[[], int], kind: str, action: str, actor: str, attributes: Mapping[str, str]
    ) -> Event:
        """Record an event and return it with its number; drop the oldest ones beyond the history."""
        with self._database.transaction():
            time_nano = clock()
            self._database.execute(
                "INSERT INTO events (time_nano, type, action, actor, attributes) VALUES (?, ?, ?, ?, ?)",
                (time_nano, kind, action, actor, msgspec.json.encode(attributes).decode()),
            )
            sequence = self.last()
            self._database.execute("DELETE FROM events WHERE sequence <= ?", (sequence - self._history,))
        return Event(
            sequence=sequence, time_nano=time_nano, type=kind, action=action, actor=actor, attributes=attributes
        )

    def last(self) -> int:
        """Return the number of the newest event; 0 where there is none."""
        number: int = self._database.query("SELECT coalesce(max(sequence), 0) FROM events")[0][0]
        return number

    def behind(self, sequence: int) -> list[Event]:
        """Return the events with a higher number, oldest first; a gap in the numbers means that events were dropped."""
        rows = self._database.query(
            "SELECT sequence, time_nano, type, action, actor, attributes FROM events"
            " WHERE sequence > ? ORDER BY sequence",
            (sequence,),
        )
        return [_event(row) for row in rows]


@reads_a_row("an event")
def _event(row: tuple[int, int, str, str, str, str]) -> Event:
    number, time_nano, kind, action, actor, attributes = row
    return Event(
        sequence=number,
        time_nano=time_nano,
        type=kind,
        action=action,
        actor=actor,
        attributes=_decode_attributes(attributes),
    )
