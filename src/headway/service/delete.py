"""Removing names and images (moby-behaviour 6.9)."""

from __future__ import annotations

from headway.errors import ConflictError, NotFoundError, StoreCorruptError
from headway.oci.digest import ChainID, Digest, chain_ids
from headway.oci.reference import Reference
from headway.records import ImageRecord
from headway.service.images import Images
from headway.service.stores import Stores


class Deleter:
    """Removes images and what only they needed.

    Args:
        stores: Where they are.
    """

    def __init__(self, stores: Stores) -> None:
        self._images = stores.images
        self._references = stores.references
        self._blobs = stores.blobs
        self._layers = stores.layers
        self._transaction = stores.transaction
        self._finder = Images(stores)

    def delete(self, name: str, *, force: bool = False) -> list[tuple[str, str]]:
        """Remove a name, and its image with it where that was the last one.

        Returns:
            What was done, in order: ``("Untagged", name)`` and ``("Deleted", digest)``, as docker prints it.

        Raises:
            NotFoundError: No such image.
            ConflictError: An ID was given whose image has names in several repositories, without force.
        """
        record = self._finder.find(name)
        names = self._references.of(record.image_id)
        by_id = _is_prefix(name, record.image_id)
        if by_id and not force and not _is_single(names):
            raise ConflictError(
                f"conflict: unable to delete {record.image_id.short} (must be forced)"
                " - image is referenced in multiple repositories"
            )
        chains = self._chains(record)
        with self._transaction():
            gone = names if by_id else self._untagged_with(Reference.parse(name).with_default_tag(), names)
            for reference in gone:
                self._references.delete(reference)
            done = [("Untagged", reference.familiar) for reference in gone]
            if len(gone) < len(names):
                return done
            self._images.delete(record.image_id)
        return done + self._remove_content(record, chains, names)

    def _untagged_with(self, reference: Reference, names: list[Reference]) -> list[Reference]:
        """Return what goes with a name: the digests of its repository, where that was the repository's last tag."""
        wanted = reference.name_only().with_digest(reference.digest) if reference.digest else reference
        same = [r for r in names if r.repository == wanted.repository and r != wanted]
        if any(r.digest is None for r in same) or wanted.digest is not None:
            return [wanted]
        return [wanted, *same]

    def _chains(self, record: ImageRecord) -> list[ChainID]:
        try:
            return chain_ids(self._finder.config(record).diff_ids)
        except (NotFoundError, StoreCorruptError):
            return []  # a damaged image can be removed all the same

    def _remove_content(
        self, record: ImageRecord, chains: list[ChainID], names: list[Reference]
    ) -> list[tuple[str, str]]:
        self._layers.collect([r.chain_id for r in self._images.list() if r.chain_id is not None])
        for digest in self._unneeded_blobs(record, names):
            self._blobs.delete(digest)
        gone = [chain_id for chain_id in reversed(chains) if not self._layers.has_chain(chain_id)]
        return [("Deleted", str(digest)) for digest in (record.image_id, *gone)]

    def _unneeded_blobs(self, record: ImageRecord, names: list[Reference]) -> set[Digest]:
        """Return the config, the manifest and the indexes that no other image came with."""
        mine = {record.manifest, *(r.digest for r in names)} - {None}
        others = {r.manifest for r in self._images.list()} | {r.digest for r, _ in self._references.list()}
        return {record.image_id, *(digest for digest in mine - others if digest is not None)}


def _is_prefix(name: str, image_id: Digest) -> bool:
    """Tell whether docker takes `name` for an ID: it is the beginning of this image's, whatever it was found by."""
    return bool(name) and (str(image_id).startswith(name) or image_id.hex.startswith(name))


def _is_single(names: list[Reference]) -> bool:
    """Tell whether an image has one name only: one tag at the most, and digests of that one repository."""
    tags = [r for r in names if r.digest is None]
    return len(names) <= 1 or (len(tags) <= 1 and len({r.repository for r in names}) == 1)
