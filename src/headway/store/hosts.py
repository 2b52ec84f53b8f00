"""What is remembered of registries between runs: who has answered, at which addresses, and how far uploads get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headway.distribution.connection_lives import Life
from headway.store.database.database import Database


class SqliteHostMemory:
    """Implements `interfaces.images.HostMemory` in the tables ``hosts``, ``addresses`` and ``connection_lives``.

    Args:
        database: Holds the tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[str] = set()

    def answered(self, host: str) -> None:
        """See `interfaces.images.HostMemory.answered`; one write per host and process at the most."""
        if not self.has_answered(host):
            self._database.execute("INSERT OR IGNORE INTO hosts (host) VALUES (?)", (host,))
        self._known.add(host)

    def has_answered(self, host: str) -> bool:
        """See `interfaces.images.HostMemory.has_answered`."""
        return host in self._known or bool(self._database.query("SELECT 1 FROM hosts WHERE host = ?", (host,)))

    def addresses(self) -> dict[str, tuple[str, ...]]:
        """See `interfaces.images.HostMemory.addresses`."""
        rows = self._database.query("SELECT name, good FROM addresses")
        return {str(name): tuple(str(good).split()) for name, good in rows}

    def found(self, addresses: Mapping[str, Sequence[str]]) -> None:
        """See `interfaces.images.HostMemory.found`."""
        if not addresses:
            return
        with self._database.transaction():
            self._database.execute_each(
                "INSERT OR REPLACE INTO addresses (name, good) VALUES (?, ?)",
                [(name, " ".join(good)) for name, good in addresses.items()],
            )

    def lives(self) -> dict[str, Life]:
        """See `interfaces.images.HostMemory.lives`."""
        rows = self._database.query("SELECT host, carried, piece, seen FROM connection_lives")
        return {str(host): Life(carried, piece, seen) for host, carried, piece, seen in rows}

    def lived(self, lives: Mapping[str, Life]) -> None:
        """See `interfaces.images.HostMemory.lived`."""
        if not lives:
            return
        with self._database.transaction():
            self._database.execute_each(
                "INSERT OR REPLACE INTO connection_lives (host, carried, piece, seen) VALUES (?, ?, ?, ?)",
                [(host, life.carried, life.piece, life.seen) for host, life in lives.items()],
            )
