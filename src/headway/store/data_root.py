"""Where things lie below a data root, and whether a directory may become one.

Rule 1: Headway writes only into a directory that is new, empty, or its own: at start it empties ``tmp/``.
Rule 2: a directory becomes Headway's by its lock file, which is made before everything else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path

from headway.errors import InvalidSettingError, StoreCorruptError, StoreError
from headway.oci.digest import ALGORITHMS, Digest, digest_fault
from headway.paths import is_directory, is_file, is_there
from headway.store.durable import fsync_directory
from headway.store.failures import disk_errors

_DOCKER = ("engine-id", "overlay2", "image", "buildkit")
_PODMAN = ("libpod", "overlay-images", "overlay-layers", "vfs-images", "vfs-layers", "storage.lock")
_CONTAINERD = "io.containerd."
# Made by mkfs, and by us before the database exists.
_BEFORE_FIRST_USE = {"lost+found", "lock", "reserve"}
# What every data root has that was ever used.
_MARKS = {"trees", "blobs", "ingest"}


class DataRoot:
    """The paths of one data root; nothing is created or read before a method is called.

    Attributes:
        path: The directory itself.
        database: SQLite's file.
        record_log: The records once more, in case that one is lost.
        lock: What a writer locks.
        reserve: Room kept back for recording that something is gone.
        blobs: Committed blobs, by algorithm.
        ingests: Unfinished blobs.
        trees: Unpacked layers.
        recipes: What gives their tars back.
        rw: Containers' read-write layers.
        mounts: Where images are mounted for whom no other place is named.
        tmp: What is being made; emptied at start.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "headway.db"
        self.record_log = path / "records.log"
        self.lock = path / "lock"
        self.reserve = path / "reserve"
        self.blobs = path / "blobs"
        self.ingests = path / "ingest"
        self.trees = path / "trees"
        self.recipes = path / "recipes"
        self.rw = path / "rw"
        self.mounts = path / "mounts"
        self.tmp = path / "tmp"

    def blob(self, digest: Digest) -> Path:
        """Return where a committed blob lies."""
        return self.blobs / digest.algorithm / digest.hex

    def ingest(self, digest: Digest) -> Path:
        """Return the directory of an unfinished blob."""
        return self.ingests / f"{digest.algorithm}-{digest.hex}"

    def private(self) -> Path:
        """Return a name in ``tmp/`` that nothing has."""
        return self.tmp / os.urandom(8).hex()

    def examine(self) -> bool:
        """Tell whether there is a store here; False for an absent, empty or unused directory.

        Raises:
            InvalidSettingError: The directory holds something else; another engine's store is named. Or its own name is
                no text.
            StoreCorruptError: There is one, and its database is gone.
            StoreReadOnlyError: This user may not look into it.
            StoreError: Something else has the place of one of its files or directories.
        """
        is_here = self._is_here()
        if is_here and self.has_lost_database():
            raise StoreCorruptError(f"the database {self.database} is gone")
        return is_here

    def has_lost_database(self) -> bool:
        """Tell whether there is content here, and no database that could know of it."""
        with disk_errors(self.database):
            try:
                is_empty = os.stat(self.database).st_size == 0
            except FileNotFoundError:
                is_empty = True
            return is_empty and any(is_there(path, follow=False) for path in (self.record_log, self.trees))

    def _is_here(self) -> bool:
        with disk_errors(self.path):
            if not _is_text(self.path.absolute()):
                shown = ascii(os.fsencode(self.path))[2:-1]
                raise InvalidSettingError(f"data root {shown} is no text (UTF-8), and records could not name it")
            try:
                names = set(os.listdir(self.path))
            except FileNotFoundError:
                return False
            except NotADirectoryError as error:
                raise InvalidSettingError(f"data root {self.path} is not a directory") from error
        if engine := _engine(names):
            raise InvalidSettingError(f"data root {self.path} holds {engine}; choose another directory")
        if self.database.name in names or (names >= _MARKS and all(map(self._is_own, names))):
            self._require_own_kinds()
            return True
        if strange := sorted(names - _BEFORE_FIRST_USE):
            raise InvalidSettingError(
                f"data root {self.path} is neither empty nor Headway's (it holds {strange[0]}); "
                "choose another directory"
            )
        return False

    def _require_own_kinds(self) -> None:
        """Refuse a data root where something else has the place of a file or a directory of Headway's."""
        beside = [self.database.with_name(f"{self.database.name}-{suffix}") for suffix in ("wal", "shm", "journal")]
        with disk_errors(self.path):
            for path in (self.database, *beside, self.record_log, self.lock):
                if is_there(path) and not is_file(path):  # a link that leads nowhere is as good as nothing
                    raise _in_the_way(path, "a file")
            for path in self._directories():
                if is_there(path, follow=False) and not is_directory(path):
                    raise _in_the_way(path, "a directory")

    def _is_own(self, name: str) -> bool:
        """Tell whether a name may lie in a data root whose database is gone."""
        # SQLite's own files, copies from before migrations, and what was damaged lie beside the database.
        beside = (f"{self.database.name}-", f"{self.database.name}.", f"{self.record_log.name}.")
        known = {path.name for path in vars(self).values()} | _BEFORE_FIRST_USE
        return name in known or name in ("key.json", "key.json.new", "rw.damaged") or name.startswith(beside)

    def create(self) -> None:
        """Make the directory Headway's, for this user only, unless it is already; nothing is put into it.

        Raises:
            InvalidSettingError: As `examine`.
            StoreReadOnlyError: It cannot be created or written.
            StoreError: As `examine`.
        """
        if self._is_here():
            return
        with disk_errors(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)

    def make_directories(self) -> None:
        """Create what is missing below the data root; called with the lock held.

        Raises:
            StoreError: The disk failed.
        """
        for directory in self._directories():
            with disk_errors(directory):
                directory.mkdir(mode=0o700, exist_ok=True)
        with disk_errors(self.path):
            fsync_directory(self.blobs)
            fsync_directory(self.path)

    def _directories(self) -> tuple[Path, ...]:
        algorithms = (self.blobs / algorithm for algorithm in ALGORITHMS)
        return (self.blobs, *algorithms, self.ingests, self.trees, self.recipes, self.rw, self.mounts, self.tmp)


def names_in(directory: Path) -> set[str]:
    """Return what a directory holds; nothing where it is not there.

    Raises:
        StoreError: The disk failed.
    """
    with disk_errors(directory):
        try:
            return set(os.listdir(directory))
        except (FileNotFoundError, NotADirectoryError):
            return set()


def digests_of(texts: Iterable[str]) -> list[Digest]:
    """Return those of `texts` that are digests: what else has a name among them is not ours."""
    return [Digest(text) for text in texts if not digest_fault(text)]


def _in_the_way(path: Path, kind: str) -> StoreError:
    return StoreError(f"{path} is in the way: Headway keeps {kind} of that name; move it elsewhere and try again")


def _is_text(path: Path) -> bool:
    try:
        os.fsencode(path).decode()
    except UnicodeDecodeError:
        return False
    return True


def _engine(names: AbstractSet[str]) -> str:
    """Return whose store a directory with these names is, with the name that says so, or an empty string."""
    for marker in _DOCKER:
        if marker in names:
            return f"Docker's store ({marker})"
    for marker in _PODMAN:
        if marker in names:
            return f"Podman's store ({marker})"
    for name in sorted(names):
        if name.startswith(_CONTAINERD):
            return f"containerd's store ({name})"
    return ""
