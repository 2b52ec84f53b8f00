"""What is recorded in the database, listed to be compared with what lies on disk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from headway.container_records import RwPlace
from headway.errors import StoreCorruptError, StoreError
from headway.interfaces.inventory import StoredImage, StoredTree
from headway.oci.digest import ChainID, DiffID, Digest, ImageID
from headway.paths import is_directory, is_there
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.database.failures import faults_in
from headway.store.failures import disk_errors
from headway.store.recovery.read_back import read_back
from headway.store.trees.layer_rows import decode_report, stacks, tree_directory


class SqliteInventory:
    """`Inventory` of a data root.

    Args:
        root: The data root.
        database: Its database.
    """

    def __init__(self, root: DataRoot, database: Database) -> None:
        self._root = root
        self._database = database

    def trees(self) -> list[StoredTree]:
        """Return every tree, and those that were derived for chains."""
        own = self._database.query(
            "SELECT diff_id, report, EXISTS (SELECT 1 FROM chains WHERE chains.diff_id = trees.diff_id)"
            " FROM trees ORDER BY diff_id"
        )
        derived = self._database.query(
            "SELECT chain_id, diff_id, directory, report FROM chains WHERE report IS NOT NULL ORDER BY chain_id"
        )
        return [self._own(DiffID(Digest(diff_id)), report, in_chain=bool(used)) for diff_id, report, used in own] + [
            StoredTree(
                diff_id=DiffID(Digest(diff_id)),
                chain_id=ChainID(Digest(chain_id)),
                path=self._root.trees / directory,
                recipe=None,
                size=None,
                members=decode_report(report).members,
            )
            for chain_id, diff_id, directory, report in derived
        ]

    def _own(self, diff_id: DiffID, report: str, *, in_chain: bool) -> StoredTree:
        directory = tree_directory(diff_id)
        recipe = self._root.recipes / directory
        known = decode_report(report)
        with disk_errors(recipe):
            has_recipe = is_there(recipe)
        return StoredTree(
            diff_id=diff_id,
            chain_id=None,
            path=self._root.trees / directory,
            recipe=recipe if has_recipe else None,
            size=known.size,
            in_chain=in_chain,
            members=known.members,
        )

    def has(self, tree: StoredTree) -> bool:
        """Tell whether a tree is recorded still."""
        if tree.chain_id is not None:
            return bool(self._database.query("SELECT 1 FROM chains WHERE chain_id = ?", (tree.chain_id,)))
        return bool(self._database.query("SELECT 1 FROM trees WHERE diff_id = ?", (tree.diff_id,)))

    def images(self) -> list[StoredImage]:
        """Return every image, by ID, and behind them those that were lost."""
        stack = stacks(self._database)
        names, blobs = self._gathered("names", "spelling"), self._gathered("image_blobs", "digest")
        images = [
            StoredImage(
                image_id=ImageID(Digest(image_id)),
                names=tuple(names[image_id]),
                manifest=None if manifest is None else Digest(manifest),
                platform=platform,
                blobs=tuple(Digest(digest) for digest in blobs[image_id]),
                diff_ids=tuple(diff_id for _, diff_id in layers),
                chain_ids=tuple(chain for chain, _ in layers),
            )
            for image_id, manifest, platform, chain_id in self._database.query(
                "SELECT image_id, manifest, platform, chain_id FROM images ORDER BY image_id"
            )
            for layers in (stack(chain_id),)
        ]
        return images + self._lost()

    def _gathered(self, table: str, column: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        sql = f"SELECT image_id, {column} FROM {table} ORDER BY image_id, {column}"  # noqa: S608  # our own constants
        for image_id, value in self._database.query(sql):
            found[image_id].append(value)
        return found

    def _lost(self) -> list[StoredImage]:
        rows = self._database.query(
            "SELECT image_id, manifest, platform, spelling FROM lost_names ORDER BY image_id, spelling"
        )
        names: dict[tuple[str, str | None, str], list[str]] = defaultdict(list)
        for *image, spelling in rows:
            names[tuple(image)].append(spelling)
        return [
            StoredImage(
                image_id=ImageID(Digest(image_id)),
                names=tuple(spellings),
                manifest=None if manifest is None else Digest(manifest),
                platform=platform,
                blobs=(Digest(image_id), *(() if manifest is None else (Digest(manifest),))),
                is_lost=True,
            )
            for (image_id, manifest, platform), spellings in names.items()
        ]

    def lost_containers(self) -> list[str]:
        """Return the names of containers of which what was written is not on disk, sorted."""
        rows = self._database.query(
            "SELECT coalesce(containers.name, rw_layers.name), mount_id, driver FROM rw_layers"
            " LEFT JOIN containers ON containers.container_id = rw_layers.name WHERE NOT is_removing ORDER BY 1"
        )
        return [name for name, mount_id, driver in rows if not self._has_written(mount_id, driver)]

    def _has_written(self, mount_id: str, driver: str) -> bool:
        place = RwPlace(self._root.rw / mount_id)
        written = place.merged if driver == "vfs" else place.upper
        with disk_errors(written):
            return is_directory(written, follow=False)

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the database itself."""
        try:
            for (found,) in self._database.query("PRAGMA integrity_check(20)"):
                yield from (f"the database: {line}" for line in faults_in(found))
            for table, _, parent, _ in self._database.query("PRAGMA foreign_key_check"):
                yield f"the database: a row of {table} names one of {parent} that is not there"
            read_back(self._database)
        except StoreCorruptError:  # there is nothing to compare then
            raise
        except StoreError as error:
            yield str(error)
