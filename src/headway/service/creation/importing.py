"""Makes an image with one layer from the tar of a root file system: `docker import` (moby-behaviour 6.7).

Rule: the request is checked before the first byte is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from headway.errors import InvalidReferenceError, RequestError
from headway.interfaces.files import Applier, TarSource
from headway.oci.digest import DiffID, ImageID
from headway.oci.instructions import apply_changes
from headway.oci.made_image import Made, imported_image
from headway.oci.moment import rfc3339
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.records import ImageRecord
from headway.service.creation.making import ImageMaker, Plan
from headway.service.images.tagging import name_image, tag_name
from headway.service.stores import Stores

STDIN = "-"


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to make of a tar.

    Attributes:
        platform: The image's platform; only Linux is possible.
        repository: Its name, with or without a tag; empty for none.
        tag: Its tag; empty to take the one in `repository`, or ``latest``.
        message: Its comment; empty for ``Imported from …``.
        changes: Dockerfile instructions that say how its containers run.
        origin: Where the tar comes from: a URL, or ``-``.
    """

    platform: Platform
    repository: str = ""
    tag: str = ""
    message: str = ""
    changes: Sequence[str] = ()
    origin: str = STDIN


class Importer:
    """Imports images into one store.

    Args:
        stores: The store.
        applier: Unpacks a layer, and records its recipe.
        clock: Nanoseconds since the epoch.
    """

    def __init__(self, stores: Stores, applier: Applier, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._stores = stores
        self._maker = ImageMaker(stores, applier)
        self._clock = clock

    def plan(self, request: ImportRequest) -> Plan:
        """Check a request, and return the plan of the image.

        Raises:
            InvalidReferenceError: Images are not called so.
            InvalidChangeError: A change that cannot be made.
            RequestError: Another operating system.
        """
        name = _name(request)
        config = apply_changes({}, request.changes)
        if request.platform.os != "linux":
            raise RequestError("operating system is not supported")

        def written(diff_id: DiffID | None) -> bytes:
            assert diff_id is not None  # noqa: S101  # an import is made from a tar
            comment = request.message or f"Imported from {request.origin}"
            made = Made(created=rfc3339(self._clock()), comment=comment)
            return imported_image(config, diff_id, request.platform, made)

        def recorded(record: ImageRecord) -> None:
            if name is not None:
                name_image(self._stores, record.image_id, name)
            self._stores.events.tell_of_image("import", record.image_id, record.image_id, record)

        return Plan(purpose="import", config=written, recorded=recorded)

    def import_image(
        self, source: TarSource, request: ImportRequest, progress: Callable[[int], None] = lambda _: None
    ) -> ImageID:
        """Make an image from a tar, compressed in any way; return its ID. This blocks.

        Raises:
            InvalidLayerError: It is no tar, or a hostile one.
            StoreError: The disk failed.
            RequestError: As `plan`.
        """
        return self._maker.make(self.plan(request), source, progress).image_id


def _name(request: ImportRequest) -> Reference | None:
    if not request.repository:  # a tag alone names nothing, as in Docker
        return None
    if Reference.parse(request.repository).digest is not None:
        raise InvalidReferenceError("cannot import digest reference")
    return tag_name(request.repository, request.tag)
