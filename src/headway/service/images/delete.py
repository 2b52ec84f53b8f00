"""Removing names and images (moby-behaviour 6.9).

Rule 1: what is decided and what is recorded is one transaction; files go behind it.
Rule 2: a word is a name or an ID by what it was found by, not by how it looks.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack

from headway.errors import ConflictError, InvalidReferenceError, NotFoundError
from headway.oci.digest import ImageID
from headway.oci.reference import Reference
from headway.records import Freed, ImageRecord
from headway.service.images.conflicts import Uses, as_listed, conflict_of, goes_with, is_single, untag_conflict
from headway.service.images.lookup import Lookup
from headway.service.stores import Stores


def delete_image(stores: Stores, word: str, *, force: bool = False, prune: bool = True) -> list[tuple[str, str]]:
    """Remove a name, and its image with it where that was the last one; or an image, by its ID.

    Args:
        stores: Where they are.
        word: A name or an ID.
        force: Remove what only soft conflicts stand against.
        prune: Remove the image's recorded parents too, as far as nobody needs them.

    Returns:
        What was done, in order: ``("Untagged", name)`` and ``("Deleted", digest)``, as docker prints it.

    Raises:
        InvalidReferenceError: It is neither a name nor an ID.
        NotFoundError: No such image.
        ConflictError: The image is needed; in Moby's words.
    """
    if not word.strip():
        raise InvalidReferenceError("image name cannot be blank")
    removal = Removal(stores)
    with stores.transaction():
        found = Lookup(stores).resolve(word)
        if found.name is None:
            removal.by_id(found.record, force=force, prune=prune)
        else:
            removal.by_name(word, found.name, found.record, force=force, prune=prune)
    _sweep(stores, removal)
    return removal.done


def remove_listed(stores: Stores, image_id: ImageID, names: Collection[Reference]) -> Removal:
    """Remove an image as it was listed: with the names that it had then. What it was named since stays.

    Args:
        stores: Where it is.
        image_id: The image.
        names: Its names in the list.

    Raises:
        NotFoundError: It is gone, or it was listed without a name and has one by now.
        ConflictError: It is needed.
    """
    removal = Removal(stores)
    with stores.transaction():
        record = stores.images.get(image_id)
        if record is None:
            raise NotFoundError("image", image_id)
        removal.as_listed(record, names)
    _sweep(stores, removal)
    return removal


def _sweep(stores: Stores, removal: Removal) -> None:
    with ExitStack() as sweeps:  # each takes place, though another one meets what does not go
        for freed in reversed(removal.freed):
            sweeps.callback(stores.garbage.sweep, freed)


class Removal:
    """One removal, made inside a transaction.

    Attributes:
        done: What was done, as docker prints it.
        freed: Whose files go behind it.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self.done: list[tuple[str, str]] = []
        self.freed: list[Freed] = []

    def by_name(self, word: str, name: Reference, record: ImageRecord, *, force: bool, prune: bool) -> None:
        """Remove a name, and the image with its last one."""
        uses = self._uses(record.image_id)
        if not force and is_single(uses.names) and (problem := untag_conflict(word, record.image_id, uses)):
            raise ConflictError(problem)
        gone = name.name_only().with_digest(name.digest) if name.digest else name
        going = (gone, *goes_with(gone, uses.names))
        for each in going:
            self._untag(each, record)
        if len(going) == len(uses.names):
            self._remove(record, force=force, prune=prune, quiet=True)

    def by_id(self, record: ImageRecord, *, force: bool, prune: bool) -> None:
        """Remove an image with all its names."""
        uses = self._uses(record.image_id)
        if is_single(uses.names):
            if conflict := conflict_of(uses, force=force, names_count=False):
                raise ConflictError(conflict.message(record.image_id))
            for name in uses.names:
                self._untag(name, record)
        self._remove(record, force=force, prune=prune, quiet=False)

    def as_listed(self, record: ImageRecord, names: Collection[Reference]) -> None:
        """Remove the names that an image was listed with, and the image where it has no other by now."""
        uses = self._uses(record.image_id)
        if not names and uses.names:
            raise NotFoundError("image", record.image_id)
        if problem := untag_conflict(record.image_id.short, record.image_id, uses):
            raise ConflictError(problem)
        gone = as_listed(names, uses.names)
        for name in gone:
            self._untag(name, record)
        if len(gone) == len(uses.names):
            self._remove(record, force=False, prune=True, quiet=bool(names))

    def _remove(self, record: ImageRecord, *, force: bool, prune: bool, quiet: bool) -> None:
        """Remove an image, and then its parents, until somebody needs one."""
        doomed: ImageRecord | None = record
        while doomed is not None:
            uses = self._uses(doomed.image_id)
            if conflict := conflict_of(uses, force=force):
                if quiet and (uses.names or uses.children or conflict.is_use):
                    return
                raise ConflictError(conflict.message(doomed.image_id))
            for name in uses.names:
                self._untag(name, doomed)
            self._forget(doomed.image_id)
            doomed = self._stores.images.get(doomed.parent) if prune and doomed.parent is not None else None
            force, quiet = False, True

    def _untag(self, name: Reference, record: ImageRecord) -> None:
        self._stores.references.delete(name)
        self._stores.events.tell_of_untag(record.image_id, record)
        self.done.append(("Untagged", name.familiar))

    def _forget(self, image_id: ImageID) -> None:
        freed = self._stores.garbage.forget_image(image_id)
        self._stores.events.tell_of_image("delete", image_id, image_id, None)
        self.freed.append(freed)
        self.done += [("Deleted", str(digest)) for digest in (image_id, *freed.chains)]

    def _uses(self, image_id: ImageID) -> Uses:
        """Return what an image is needed for; a container runs, for us, while its file system is mounted to stay."""
        stores = self._stores
        mounts = stores.mounts.of_image(image_id)
        containers = [container.container_id for container in stores.containers.of_image(image_id)]
        mounted = {mount.rw_layer for mount in mounts}
        return Uses(
            children=len(stores.images.children(image_id)),
            running=next((each for each in containers if each in mounted), ""),
            stopped=next((each for each in containers if each not in mounted), ""),
            mounted=next((str(mount.target) for mount in mounts if mount.rw_layer not in containers), ""),
            names=stores.references.of(image_id),
        )
