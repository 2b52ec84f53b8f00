"""Stores the bytes that crossed the network in the database: a sum per day, registry and image."""

from __future__ import annotations

from collections.abc import Mapping

from headway.interfaces.traffic import Errand, Traffic, TrafficRow
from headway.store.database.database import Database

HISTORY = 400
"""How many days with traffic are kept."""


class SqliteTraffic:
    """`TrafficStore` in the database's table ``traffic``.

    Args:
        database: Holds the table.
        history: How many days are kept.
    """

    def __init__(self, database: Database, *, history: int = HISTORY) -> None:
        self._database = database
        self._history = history

    def add(self, day: str, counted: Mapping[Errand, Traffic]) -> None:
        """Add to a day's sums; durable when this returns. Days beyond the history are removed."""
        with self._database.transaction():
            has_begun = self._database.query("SELECT 1 FROM traffic WHERE day = ? LIMIT 1", (day,))
            self._database.execute_each(
                "INSERT INTO traffic (day, registry, image, received, useful, reused, sent)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (day, registry, image) DO UPDATE SET received = received + excluded.received,"
                " useful = useful + excluded.useful, reused = reused + excluded.reused, sent = sent + excluded.sent",
                [
                    (day, errand.registry, errand.image, each.received, each.useful, each.reused, each.sent)
                    for errand, each in counted.items()
                ],
            )
            if not has_begun:
                self._database.execute(
                    "DELETE FROM traffic WHERE day NOT IN (SELECT DISTINCT day FROM traffic ORDER BY day DESC LIMIT ?)",
                    (self._history,),
                )

    def days(self, since: str = "", until: str = "") -> list[TrafficRow]:
        """Return the sums from one day to another, both included; oldest first, then by registry and image."""
        rows = self._database.query(
            "SELECT day, registry, image, received, useful, reused, sent FROM traffic"
            " WHERE day >= ? AND (day <= ? OR ? = '') ORDER BY day, registry, image",
            (since, until, until),
        )
        return [
            TrafficRow(
                day, Errand(registry, image), Traffic(received=received, useful=useful, reused=reused, sent=sent)
            )
            for day, registry, image, received, useful, reused, sent in rows
        ]
