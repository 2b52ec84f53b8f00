"""What saves archives of images, joined; a command that saves needs nothing of what loads."""

from __future__ import annotations

from headway.layers.archives.writer import write_archive
from headway.layers.recipes.layer_tars import StoredLayerTars
from headway.service.archives.saving import Saver
from headway.service.stores import Records


def saver(records: Records) -> Saver:
    """Return what saves the images of a store."""
    return Saver(records, tars=StoredLayerTars(records.layers), write=write_archive)
