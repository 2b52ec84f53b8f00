"""Leases, in the database: they keep content until the image that needs it is recorded.

Rule 1: a lease is recorded before anything relies on its content (`garbage`, rule 3).
Rule 2: its rows outlive its holder: content of a stopped pull is kept until the pull goes on, or a prune removes it.
Rule 3: which leases are held is known to this process alone, as a data root has one writer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from threading import Lock

from headway.oci.digest import Digest
from headway.store.database.database import Database


class SqliteLeases:
    """`Leases` in the tables ``leases`` and ``leased``.

    Args:
        database: Holds the tables.
        now: Seconds since the epoch.
        held_beside: Leases held through another `SqliteLeases`, if `database` is a copy of its records.
    """

    def __init__(
        self, database: Database, *, now: Callable[[], float] = time.time, held_beside: Container[str] = ()
    ) -> None:
        self._database = database
        self._now = now
        self._held = Held(held_beside)

    @property
    def held(self) -> Container[str]:
        """The leases that are held now."""
        return self._held

    @contextmanager
    def hold(self, purpose: str, subject: Digest) -> Iterator[SqliteLease]:
        """Give a lease during the block; a later holder of the same one finds its content still there.

        A second holder at the same time gets another lease, so that neither ends the lease of the other.
        """
        lease = self._held.take(f"{purpose} {subject}")
        try:
            yield SqliteLease(self, lease, purpose)
        finally:
            self._held.leave(lease)

    def add(self, lease: str, purpose: str, contents: Iterable[Digest]) -> None:
        """See `SqliteLease.add`."""
        now = self._now()
        with self._database.transaction():
            self._database.execute(
                "INSERT INTO leases (lease, purpose, created, used) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (lease) DO UPDATE SET used = excluded.used",
                (lease, purpose, now, now),
            )
            self._database.execute_each(
                "INSERT INTO leased (lease, content) VALUES (?, ?) ON CONFLICT DO NOTHING",
                [(lease, content) for content in contents],
            )

    def drop(self, lease: str, purpose: str) -> None:
        """See `SqliteLease.drop`."""
        with self._database.transaction():
            rows = self._database.query("SELECT lease FROM leases WHERE purpose = ?", (purpose,))
            self.end({other for (other,) in rows if other not in self._held} | {lease})

    def subject(self, purpose: str) -> Digest | None:
        """Return the subject of the last used lease with this purpose; None where there is none."""
        rows = self._database.query("SELECT lease FROM leases WHERE purpose = ? ORDER BY used DESC LIMIT 1", (purpose,))
        return next((Digest(lease.removeprefix(f"{purpose} ").partition(" ")[0]) for (lease,) in rows), None)

    def idle(self) -> list[str]:
        """Return the leases that nobody holds, sorted."""
        rows = self._database.query("SELECT lease FROM leases ORDER BY lease")
        return [lease for (lease,) in rows if lease not in self._held]

    def idle_for(self, content: Digest) -> list[str]:
        """Return the leases that nobody holds and that name `content`."""
        rows = self._database.query("SELECT lease FROM leased WHERE content = ?", (content,))
        return [lease for (lease,) in rows if lease not in self._held]

    def contents(self, lease: str) -> list[Digest]:
        """Return the content of a lease: digests of blobs, diff IDs and chain IDs."""
        rows = self._database.query("SELECT content FROM leased WHERE lease = ?", (lease,))
        return [Digest(content) for (content,) in rows]

    def end(self, leases: Iterable[str]) -> None:
        """Delete leases, with the lists of their content."""
        self._database.execute_each("DELETE FROM leases WHERE lease = ?", [(lease,) for lease in leases])


class Held:
    """The leases that this process holds.

    Args:
        beside: Further leases, which are held elsewhere.
    """

    def __init__(self, beside: Container[str] = ()) -> None:
        self._lock = Lock()
        self._leases: set[str] = set()
        self._beside = beside

    def __contains__(self, lease: object) -> bool:
        return lease in self._leases or lease in self._beside

    def take(self, wanted: str) -> str:
        """Hold the lease `wanted`, or if that is held already, the first free one like it; return its name."""
        with self._lock:
            names = (wanted if number == 1 else f"{wanted} #{number}" for number in count(1))
            lease = next(name for name in names if name not in self)
            self._leases.add(lease)
        return lease

    def leave(self, lease: str) -> None:
        """Stop holding a lease."""
        with self._lock:
            self._leases.discard(lease)


class SqliteLease:
    """`Lease` with rows in the database; made by `SqliteLeases.hold`."""

    def __init__(self, leases: SqliteLeases, lease: str, purpose: str) -> None:
        self._leases = leases
        self._lease = lease
        self._purpose = purpose

    def add(self, contents: Iterable[Digest]) -> None:
        """Keep blobs, diff IDs and chain IDs from now on."""
        self._leases.add(self._lease, self._purpose, contents)

    def drop(self) -> None:
        """Delete the lease, and idle ones with the same purpose."""
        self._leases.drop(self._lease, self._purpose)
