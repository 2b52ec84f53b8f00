"""Finding, listing, naming and describing images (moby-behaviour 1.5 and 6.3 to 6.8).

Everything here is sync: a command that needs no event loop calls it directly.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from headway.errors import InvalidReferenceError, NotFoundError
from headway.oci.digest import Digest, ImageID
from headway.oci.image_config import ImageConfig
from headway.oci.reference import Reference, parse_any
from headway.records import ImageRecord
from headway.service.stores import Records


class ListedImage(msgspec.Struct, frozen=True):
    """One image with its names, as lists show it."""

    record: ImageRecord
    tags: tuple[Reference, ...]
    digests: tuple[Reference, ...]


class HistoryEntry(msgspec.Struct, frozen=True):
    """One step of an image's history, as `docker history` shows it.

    Attributes:
        image_id: Of the whole image for its newest step, empty for the others.
        created: RFC 3339, empty where unknown.
        created_by: The command.
        comment: Free text.
        size: Of the step's layer (Docker's size), 0 for an empty one.
        tags: Familiar names, on the newest step.
    """

    image_id: str
    created: str
    created_by: str
    comment: str
    size: int
    tags: tuple[str, ...]


class Images:
    """Questions about the images in a store.

    Args:
        records: Where they are.
    """

    def __init__(self, records: Records) -> None:
        self._images = records.images
        self._references = records.references
        self._blobs = records.blobs
        self._layers = records.layers

    def find(self, name: str) -> ImageRecord:
        """Return the image that a name, an ID or the beginning of one means, in Docker's order.

        Raises:
            InvalidReferenceError: It is neither a name nor an ID.
            NotFoundError: There is none, or several IDs begin so.
        """
        wanted = parse_any(name)
        if isinstance(wanted, Digest):
            record = self._images.get(ImageID(wanted))
        else:
            image_id = self._references.get(wanted.with_default_tag())
            if image_id is None:
                image_id = self._only(self._images.search(name))
            record = self._images.get(image_id) if image_id is not None else None
        if record is None:
            raise NotFoundError("image", name if isinstance(wanted, Digest) else wanted.with_default_tag().familiar)
        return record

    @staticmethod
    def _only(found: list[ImageID]) -> ImageID | None:
        return found[0] if len(found) == 1 else None

    def all(self) -> list[ListedImage]:
        """Return every image with its names, newest first."""
        names: dict[ImageID, list[Reference]] = defaultdict(list)
        for reference, image_id in self._references.list():
            names[image_id].append(reference)
        listed = []
        for record in self._images.list():
            own = names.get(record.image_id, [])
            listed.append(
                ListedImage(
                    record,
                    tuple(r for r in own if r.digest is None),
                    tuple(r for r in own if r.digest is not None),
                )
            )
        return listed

    def config(self, record: ImageRecord) -> ImageConfig:
        """Return an image's config.

        Raises:
            StoreCorruptError: It is damaged on disk.
        """
        return ImageConfig.parse(self._blobs.read(record.image_id))

    def tag(self, source: str, target: str) -> tuple[Reference, ImageID]:
        """Let the tag `target` stand for the image that `source` means; a tag that exists moves.

        Raises:
            InvalidReferenceError: `target` cannot be a tag.
            NotFoundError: No such source.
        """
        reference = Reference.parse(target)
        if reference.digest is not None and not reference.tag:
            raise InvalidReferenceError("refusing to create a tag with a digest reference")
        if reference.path == "library/sha256" or reference.familiar_name == "sha256":
            raise InvalidReferenceError("refusing to create an ambiguous tag using digest algorithm as name")
        record = self.find(source)
        tag = reference.name_only().with_tag(reference.tag or "latest")
        self._references.put_tag(tag, record.image_id)
        return tag, record.image_id

    def history(self, name: str) -> list[HistoryEntry]:
        """Return the steps of an image, newest first (moby-behaviour 6.6)."""
        record = self.find(name)
        config = self.config(record)
        sizes = iter([tree.report.size for tree in self._layers.trees(record.chain_id)])
        tags = tuple(r.familiar for r in self._references.of(record.image_id) if r.digest is None)
        entries = [
            HistoryEntry("", step.created, step.created_by, step.comment, 0 if step.empty_layer else next(sizes, 0), ())
            for step in config.history
        ]
        if entries:
            entries[-1] = msgspec.structs.replace(entries[-1], image_id=str(record.image_id), tags=tags)
        return entries[::-1]

    def describe(self, name: str) -> dict[str, object]:
        """Return what `docker image inspect` shows of an image (moby-behaviour 6.4)."""
        record = self.find(name)
        config = self.config(record)
        names = self._references.of(record.image_id)
        comment = config.history[-1].comment if config.history else ""
        platform = config.platform
        return {
            "Id": str(record.image_id),
            "RepoTags": [r.familiar for r in names if r.digest is None],
            "RepoDigests": [r.familiar for r in names if r.digest is not None],
            "Parent": "",
            "Comment": comment,
            "Created": record.created,
            "Author": config.author,
            "Config": dict(config.config),
            "Architecture": platform.architecture,
            **({"Variant": platform.variant} if platform.variant else {}),
            "Os": platform.os,
            "Size": record.size,
            "GraphDriver": self._driver_data(record),
            "RootFS": {"Type": "layers", "Layers": [str(d) for d in config.diff_ids]},
            "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
        }

    def _driver_data(self, record: ImageRecord) -> dict[str, object]:
        paths = [str(tree.path) for tree in self._layers.trees(record.chain_id)]
        data = {"UpperDir": paths[-1]} if paths else {}
        if len(paths) > 1:
            data["LowerDir"] = ":".join(reversed(paths[:-1]))
        return {"Name": "overlay2", "Data": data}
