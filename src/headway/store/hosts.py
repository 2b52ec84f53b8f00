"""Which registries have answered before."""

from __future__ import annotations

from headway.store.database import Database


class SqliteHostMemory:
    """Implements `interfaces.HostMemory` in the table ``hosts``.

    Args:
        database: Holds the table.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[str] = set()

    def answered(self, host: str) -> None:
        """See `interfaces.HostMemory.answered`; one write per host and process at the most."""
        if not self.has_answered(host):
            with self._database.transaction():
                self._database.execute("INSERT OR IGNORE INTO hosts (host) VALUES (?)", (host,))
        self._known.add(host)

    def has_answered(self, host: str) -> bool:
        """See `interfaces.HostMemory.has_answered`."""
        return host in self._known or bool(self._database.query("SELECT 1 FROM hosts WHERE host = ?", (host,)))
