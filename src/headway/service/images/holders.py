"""Which image has a layer, for whoever shows layers to people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from headway.oci.digest import DiffID
from headway.records import ImageRecord
from headway.service.images.documents import config_of
from headway.service.stores import Records


class Holders:
    """The newest image with a name that has each layer; every image is read once, and none that is not asked for."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._images: Iterator[ImageRecord] | None = None
        self._found: dict[DiffID, str] = {}

    def of(self, wanted: Iterable[DiffID]) -> Mapping[DiffID, str]:
        """Return who has each of some layers, for layers that somebody has."""
        records = self._records
        missing = {each for each in wanted if each not in self._found and records.layers.has_tree(each)}
        if missing and self._images is None:
            self._images = iter(records.images.list())
        while missing and self._images is not None and (record := next(self._images, None)) is not None:
            names = records.references.of(record.image_id)
            config = config_of(records.blobs, record.image_id) if names else None
            for diff_id in config.diff_ids if config is not None else ():
                self._found.setdefault(diff_id, names[0].familiar)
                missing.discard(diff_id)
        return self._found
