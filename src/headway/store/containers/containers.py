"""Stores the records of containers (moby-behaviour 6.18, 6.19).

Rule: the config that a container was created with is kept unchanged; fields that lists and lookups need have columns.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from headway.container_records import ContainerRecord, ContainerState
from headway.errors import AmbiguousNameError, ConflictError, NotFoundError
from headway.oci.digest import Digest, ImageID
from headway.store.database.abbreviations import bounds, can_begin
from headway.store.database.database import Database
from headway.store.database.failures import reads_a_row

# In the order of `ContainerRecord`'s fields.
_COLUMNS = "container_id, name, image_id, image, created_nano, config, host_config, platform, mount_label, state"
_SELECT = f"SELECT {_COLUMNS} FROM containers"  # noqa: S608  # a constant
_INSERT = f"INSERT INTO containers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # a constant
_NEWEST_FIRST = "ORDER BY created_nano DESC, container_id"


class SqliteContainerStore:
    """`ContainerStore` in the database's table ``containers``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, word: str) -> ContainerRecord:
        """Return the container with this ID, or this name, or else the only one whose ID has this prefix."""
        for condition, value in (("container_id = ?", word), ("name = ?", word.removeprefix("/"))):
            if rows := self._database.query(f"{_SELECT} WHERE {condition}", (value,)):
                return _container(rows[0])
        if not can_begin(word):
            raise NotFoundError("container", word)
        found = self._database.query(f"{_SELECT} WHERE container_id >= ? AND container_id < ? LIMIT 2", bounds(word))
        if not found:
            raise NotFoundError("container", word)
        if len(found) > 1:
            raise AmbiguousNameError(word)
        return _container(found[0])

    def first(self, wanted: Callable[[ContainerRecord], bool]) -> ContainerRecord | None:
        """Return a container that is `wanted`; None if there is none."""
        return next(filter(wanted, self.list()), None)

    def of_image(self, image_id: ImageID) -> list[ContainerRecord]:
        """Return those that were created from an image, newest first; by index."""
        rows = self._database.query(f"{_SELECT} WHERE image_id = ? {_NEWEST_FIRST}", (image_id,))
        return [_container(row) for row in rows]

    def add(self, container: ContainerRecord) -> None:
        """Record a container.

        Raises:
            ConflictError: Its name or ID is taken; in Moby's words.
            StoreError: The disk failed.
        """
        with self._database.transaction():
            self._require_free(container)
            self._database.execute(_INSERT, msgspec.structs.astuple(container))

    def replace(self, container: ContainerRecord) -> None:
        """Record a new name or state of a container.

        Raises:
            ConflictError: Its name is taken.
            NotFoundError: It is gone.
            StoreError: The disk failed.
        """
        with self._database.transaction():
            self._require_free(container)
            changed = self._database.execute(
                "UPDATE containers SET name = ?, state = ? WHERE container_id = ?",
                (container.name, container.state, container.container_id),
            )
            if not changed:
                raise NotFoundError("container", container.container_id)

    def _require_free(self, container: ContainerRecord) -> None:
        rows = self._database.query(
            "SELECT container_id FROM containers WHERE name = ? AND container_id != ?",
            (container.name, container.container_id),
        )
        if rows:
            raise ConflictError(
                f'Conflict. The container name "/{container.name}" is already in use by container "{rows[0][0]}".'
                " You have to remove (or rename) that container to be able to reuse that name."
            )

    def delete(self, container_id: str) -> None:
        """Remove a container's record; nothing happens if it is gone.

        Raises:
            StoreError: The disk failed.
        """
        self._database.execute("DELETE FROM containers WHERE container_id = ?", (container_id,))

    def list(self) -> list[ContainerRecord]:
        """Return all, newest first."""
        return [_container(row) for row in self._database.query(f"{_SELECT} {_NEWEST_FIRST}")]


@reads_a_row("the record of a container")
def _container(row: tuple[str, str, str | None, str, int, str, str, str, str, str]) -> ContainerRecord:
    container_id, name, image_id, image, created_nano, config, host_config, platform, mount_label, state = row
    return ContainerRecord(
        container_id=container_id,
        name=name,
        image_id=None if image_id is None else ImageID(Digest(image_id)),
        image=image,
        created_nano=created_nano,
        config=config,
        host_config=host_config,
        platform=platform,
        mount_label=mount_label,
        state=ContainerState(state),
    )
