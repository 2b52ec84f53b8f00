"""Names of images: tags, which move, and digest references, which do not (moby-behaviour 5.2).

Rule: a name stands for an image that is here; the database refuses every other.
"""

from __future__ import annotations

import sqlite3

from headway.errors import ConflictError, InvalidReferenceError, NotFoundError
from headway.oci.digest import Digest, ImageID
from headway.oci.reference import Reference
from headway.store.database.database import Database

_AMBIGUOUS = "docker.io/library/sha256"


class SqliteReferenceStore:
    """`ReferenceStore` in the database's table ``names``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, reference: Reference) -> ImageID | None:
        """Return the image that a name stands for; where the reference has tag and digest, the digest decides."""
        return self._get(str(stored_name(reference)))

    def _get(self, spelling: str) -> ImageID | None:
        rows = self._database.query("SELECT image_id FROM names WHERE spelling = ?", (spelling,))
        return ImageID(Digest(rows[0][0])) if rows else None

    def put_tag(self, reference: Reference, image_id: ImageID) -> ImageID | None:
        """Let a tag stand for an image; return the image it stood for before, None where it is new or unchanged.

        Raises:
            InvalidReferenceError: It has a digest, or could be taken for one.
            NotFoundError: No such image.
            StoreError: The disk failed.
        """
        name = tag_name(reference)
        with self._database.transaction():
            before = self._get(str(name))
            if before == image_id:
                return None
            self._put(name, image_id)
        return before

    def put_digest(self, reference: Reference, image_id: ImageID) -> None:
        """Let a digest reference stand for an image; a tag in it is ignored.

        Raises:
            InvalidReferenceError: It has no digest.
            ConflictError: It already stands for another image.
            NotFoundError: No such image.
            StoreError: The disk failed.
        """
        name = digest_name(reference)
        with self._database.transaction():
            before = self._get(str(name))
            if before is None:
                self._put(name, image_id)
            elif before != image_id:
                raise ConflictError(f"Cannot overwrite digest {name.digest}")

    def _put(self, name: Reference, image_id: ImageID) -> None:
        try:
            self._database.execute(
                "INSERT INTO names (spelling, repository, kind, image_id) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (spelling) DO UPDATE SET image_id = excluded.image_id",
                (str(name), name.repository, "digest" if name.digest else "tag", image_id),
            )
        except sqlite3.IntegrityError as error:
            raise NotFoundError("image", image_id) from error

    def delete(self, reference: Reference) -> bool:
        """Forget the name; tell whether it was there."""
        spelling = str(stored_name(reference))
        return self._database.execute("DELETE FROM names WHERE spelling = ?", (spelling,)) > 0

    def of(self, image_id: ImageID) -> list[Reference]:
        """Return every name of an image, sorted by its full spelling."""
        rows = self._database.query("SELECT spelling FROM names WHERE image_id = ? ORDER BY spelling", (image_id,))
        return [_reference(spelling) for (spelling,) in rows]

    def within(self, repository: Reference) -> list[Reference]:
        """Return every name of a repository, sorted by its full spelling; the tag or digest given is ignored."""
        sql = "SELECT spelling FROM names WHERE repository = ? ORDER BY spelling"
        return [_reference(spelling) for (spelling,) in self._database.query(sql, (repository.repository,))]

    def list(self) -> list[tuple[Reference, ImageID]]:
        """Return every name with its image, sorted by full spelling."""
        rows = self._database.query("SELECT spelling, image_id FROM names ORDER BY spelling")
        return [(_reference(spelling), ImageID(Digest(image_id))) for spelling, image_id in rows]


def stored_name(reference: Reference) -> Reference:
    """Return the name under which a reference is stored: its digest, else its tag, else ``latest``."""
    return digest_name(reference) if reference.digest else reference.with_default_tag()


def digest_name(reference: Reference) -> Reference:
    """Return a digest reference without its tag.

    Raises:
        InvalidReferenceError: It has no digest.
    """
    if reference.digest is None:
        raise InvalidReferenceError(f"{reference.familiar} has no digest")
    return reference.name_only().with_digest(reference.digest)


def tag_name(reference: Reference) -> Reference:
    """Return a tag, ``latest`` where there is none.

    Raises:
        InvalidReferenceError: It has a digest, or could be taken for one.
    """
    if reference.digest is not None:
        raise InvalidReferenceError("refusing to create a tag with a digest reference")
    if reference.repository == _AMBIGUOUS:
        raise InvalidReferenceError("refusing to create an ambiguous tag using digest algorithm as name")
    return reference.with_default_tag()


def _reference(spelling: str) -> Reference:
    """Return the reference of a stored name, without checking it again: parsing would be most of a list's cost."""
    if "@" in spelling:
        repository, _, digest = spelling.partition("@")
        domain, _, path = repository.partition("/")
        return Reference(domain, path, digest=Digest(digest))
    repository, _, tag = spelling.rpartition(":")
    domain, _, path = repository.partition("/")
    return Reference(domain, path, tag)
