"""What nothing needs any more: found by index, forgotten in a transaction, removed behind it.

Rule 1: rows first, then the names move to ``tmp/``, then the files go. Nobody meets half a tree, and a crash at any
        step leaves what the next start removes.
Rule 2: who needs what is asked of the views ``chain_users``, ``tree_users`` and ``blob_users``, by index: removing one
        image reads no other.
Rule 3: names move only inside a transaction, and only of what still has no user. Whoever writes a lease or a row before
        that keeps the files; whoever does so after it finds that they are gone.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from headway.errors import ConflictError, OutOfOrderError, StoreError
from headway.oci.digest import ALGORITHMS, ChainID, Digest, ImageID
from headway.records import Freed
from headway.store.data_root import DataRoot, digests_of, names_in
from headway.store.database.database import Database
from headway.store.removal import move_out, remove_tree
from headway.store.space.blocks import allocated, allocated_below, freed_by
from headway.store.space.leases import SqliteLeases
from headway.store.space.reserve import Reserve
from headway.store.trees.layer_rows import directories, has_row, tree_directory

STEPS = ("forgotten", "recorded", "moved", "removed one", "removed")
"""What `step` is told: records deleted, and committed; names moved to ``tmp/``; the first tree removed, and all."""


class SqliteGarbage:
    """`Garbage` over the database and the directories of a data root.

    Args:
        root: The data root.
        database: Its database.
        leases: Its leases.
        discard: Removes an unfinished blob that is not open.
        reserve: Room for recording that something is gone; None where there is none.
        step: Told of every step, for tests that end the process there.
    """

    def __init__(
        self,
        root: DataRoot,
        database: Database,
        leases: SqliteLeases,
        *,
        discard: Callable[[Digest], None],
        reserve: Reserve | None = None,
        step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._reserve = reserve
        self._root = root
        self._database = database
        self._leases = leases
        self._discard = discard
        self._step = step

    # Records

    def make_room(self) -> None:
        """Let it be recorded, on a disk that is full, that something goes: give up what was kept back for that."""
        if self._reserve is not None:
            self._reserve.give_up()

    def forget_image(self, image_id: ImageID) -> Freed:
        """Forget an image and the records of what only it needed; idle leases for the same image end."""
        with self._finding() as found:
            chains = self._database.query("SELECT chain_id FROM images WHERE image_id = ?", (image_id,))
            rows = self._database.query("SELECT digest FROM image_blobs WHERE image_id = ?", (image_id,))
            blobs = [Digest(digest) for (digest,) in rows]
            try:
                self._database.execute("DELETE FROM images WHERE image_id = ?", (image_id,))
            except sqlite3.IntegrityError as error:
                raise ConflictError(f"image {image_id} still has a name") from error
            if chains:
                idle = self._leases.idle_for(image_id)
                blobs += [content for lease in idle for content in self._leases.contents(lease)]
                self._leases.end(idle)
            self._release([chain_id for (chain_id,) in chains], found)
            self._forget_blobs(dict.fromkeys(blobs), found)
            self._step("forgotten")
        return found.freed()

    def release(self, chain_id: ChainID | None) -> Freed:
        """Forget a chain and what only it needed, unless something needs it."""
        with self._finding() as found:
            self._release([chain_id], found)
        return found.freed()

    def forget_unneeded(self, *, unfinished: bool = False) -> Freed:
        """Forget everything that nothing needs, and find the files that have no record."""
        with self._finding() as found:
            if unfinished:
                self._leases.end(self._leases.idle())
            unused = self._database.query(
                "SELECT chain_id FROM chains WHERE NOT EXISTS"
                " (SELECT 1 FROM chain_users WHERE chain_users.chain_id = chains.chain_id)"
            )
            self._release([chain_id for (chain_id,) in unused], found)
            for (diff_id,) in self._database.query(
                "SELECT diff_id FROM trees WHERE NOT EXISTS"
                " (SELECT 1 FROM tree_users WHERE tree_users.diff_id = trees.diff_id)"
            ):
                self._forget_tree(diff_id, found)
            self._find_orphans(found)
            used = {digest for (digest,) in self._database.query("SELECT digest FROM blob_users")}  # faster than each
            self._forget_blobs([digest for digest in self._blobs_on_disk() if digest not in used], found)
            if unfinished:
                self._find_ingests(found)
            self._step("forgotten")
        return found.freed()

    @contextmanager
    def _finding(self) -> Iterator[_Found]:
        """Give what takes in all that is found in one transaction, which gets the room it needs."""
        found = _Found()
        with self._database.transaction():
            yield found
            if found != _Found():
                self.make_room()

    def _release(self, chains: Iterable[str | None], found: _Found) -> None:
        """Delete chains that have no user, each with its tree where that has none, and so on below them."""
        for top in chains:
            chain_id = top
            while chain_id is not None and not self._has_user("chain_users", "chain_id", chain_id):
                chain_id = self._forget_chain(chain_id, found)

    def _forget_chain(self, chain_id: str, found: _Found) -> str | None:
        """Delete one chain and return the one below it."""
        rows = self._database.query(
            "SELECT parent, diff_id, directory, derived_bytes, chains.report IS NOT NULL, trees.size"
            " FROM chains JOIN trees USING (diff_id) WHERE chain_id = ?",
            (chain_id,),
        )
        if not rows:
            return None
        parent, diff_id, directory, derived_bytes, is_derived, size = rows[0]
        self._database.execute("DELETE FROM chains WHERE chain_id = ?", (chain_id,))
        found.chains.append(ChainID(Digest(chain_id)))
        found.size += size
        if is_derived:
            found.directories.append(directory)
            found.disk_bytes += derived_bytes
        if not self._has_user("tree_users", "diff_id", diff_id):
            self._forget_tree(diff_id, found)
        below: str | None = parent
        return below

    def _forget_tree(self, diff_id: str, found: _Found) -> None:
        ((disk_bytes,),) = self._database.query("SELECT disk_bytes FROM trees WHERE diff_id = ?", (diff_id,))
        self._database.execute("DELETE FROM trees WHERE diff_id = ?", (diff_id,))
        directory = tree_directory(Digest(diff_id))
        found.directories.append(directory)
        found.disk_bytes += disk_bytes + allocated(self._root.recipes / directory)

    def _has_user(self, view: str, column: str, content: str) -> bool:
        sql = f"SELECT EXISTS (SELECT 1 FROM {view} WHERE {column} = ?)"  # noqa: S608  # constants of this class
        return bool(self._database.query(sql, (content,))[0][0])

    # Files without a record

    def _forget_blobs(self, digests: Iterable[Digest], found: _Found) -> None:
        for digest in digests:
            path = self._root.blob(digest)
            if not self._has_user("blob_users", "digest", digest) and os.path.lexists(path):
                found.blobs.append(digest)
                found.disk_bytes += allocated(path)

    def _find_orphans(self, found: _Found) -> None:
        """Find what lies in ``trees/`` and ``recipes/`` without a row: a commit or a removal that was cut short."""
        known = directories(self._database) | set(found.directories)
        trees = self._names(self._root.trees) - known
        orphans = trees | (self._names(self._root.recipes) - known)
        found.directories += sorted(orphans)
        found.disk_bytes += freed_by(*(self._root.trees / name for name in trees))
        found.disk_bytes += sum(allocated(self._root.recipes / name) for name in orphans)

    def _blobs_on_disk(self) -> list[Digest]:
        found = {algorithm: self._names(self._root.blobs / algorithm) for algorithm in ALGORITHMS}
        return digests_of(f"{algorithm}:{name}" for algorithm, names in found.items() for name in names)

    def _find_ingests(self, found: _Found) -> None:
        for digest in digests_of(name.replace("-", ":", 1) for name in self._names(self._root.ingests)):
            if not self._has_user("leased", "content", digest):
                found.ingests.append(digest)
                found.disk_bytes += allocated_below(self._root.ingest(digest))

    def _names(self, directory: Path) -> set[str]:
        return names_in(directory)

    # Files

    def sweep(self, freed: Freed) -> None:
        """Remove the files of what was forgotten, but for what has come back since.

        Raises:
            OutOfOrderError: Called inside a transaction.
            StoreError: Something could not be moved away; everything else is gone, and the next start tries again.
        """
        if self._database.in_transaction:
            raise OutOfOrderError("files are removed inside a transaction")
        self._step("recorded")
        moved: list[Path] = []
        failures: list[StoreError] = []
        with self._database.transaction():
            names = [name for name in freed.directories if not has_row(self._database, name)]
            going = [place / name for name in names for place in (self._root.trees, self._root.recipes)]
            blobs = (digest for digest in freed.blobs if not self._has_user("blob_users", "digest", digest))
            going += map(self._root.blob, blobs)
            for path in going:
                with _gathered(failures):
                    moved += filter(None, (move_out(self._root, path),))
        self._step("moved")
        for path in moved:
            with suppress(StoreError):  # what cannot be removed now is met again at the next start
                remove_tree(path)
            self._step("removed one")
        for digest in freed.ingests:
            with _gathered(failures), suppress(ConflictError):  # a pull has just begun to use it
                self._discard(digest)
        if self._reserve is not None:
            self._reserve.renew()
        self._step("removed")
        if failures:
            raise failures[0]


@contextmanager
def _gathered(failures: list[StoreError]) -> Iterator[None]:
    """Let the disk's failure wait until all else is gone."""
    try:
        yield
    except StoreError as error:
        failures.append(error)


class _Found(msgspec.Struct):
    """What a `Freed` is gathered in."""

    chains: list[ChainID] = msgspec.field(default_factory=list)
    directories: list[str] = msgspec.field(default_factory=list)
    blobs: list[Digest] = msgspec.field(default_factory=list)
    ingests: list[Digest] = msgspec.field(default_factory=list)
    size: int = 0
    disk_bytes: int = 0

    def freed(self) -> Freed:
        return Freed(
            chains=tuple(self.chains),
            directories=tuple(self.directories),
            blobs=tuple(self.blobs),
            ingests=tuple(self.ingests),
            size=self.size,
            disk_bytes=self.disk_bytes,
        )
