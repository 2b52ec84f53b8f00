"""What loads archives of images, joined."""

from __future__ import annotations

import hashlib
import os
from functools import partial

from headway.composition.host_platform import host_platform
from headway.composition.windows import shared_windows
from headway.interfaces.files import TarSource
from headway.layers.compression.expanding import expand
from headway.layers.compression.windows import Windows
from headway.layers.unpacking.workers import Workers, is_worth_it
from headway.oci.digest import DiffID, Digest
from headway.service.archives.archived_layers import Taker
from headway.service.archives.loading import Loader
from headway.service.concurrency.unpack_places import MOST
from headway.service.stores import Stores
from headway.settings import Settings
from headway.store.content.spool import SpoolFile
from headway.store.data_root import DataRoot


def loader(settings: Settings, stores: Stores) -> Loader:
    """Return what loads images into a store; recipes are always recorded: nobody else could give the layers back."""
    place = DataRoot(settings.data_root).tmp
    windows = shared_windows(settings.max_unpack_memory)
    taker = Taker(
        applier=Workers(is_worth_it=is_worth_it(), records=True, windows=windows),
        measure=partial(_diff_id, windows),
        spool=partial(SpoolFile, place),
        retain=settings.retain_layer_blobs,
        at_once=min(len(os.sched_getaffinity(0)), MOST),
    )
    return Loader(stores, taker, host_platform())


def _diff_id(windows: Windows, source: TarSource) -> DiffID:
    """Return the diff ID of a layer's blob, compressed in any way; with `windows` bound, this is `Taker.measure`."""
    whole = hashlib.sha256()
    with windows.share(source) as reserve:
        for piece in expand(source, lambda _: None, reserve=reserve):
            whole.update(piece)
    return DiffID(Digest(f"sha256:{whole.hexdigest()}"))
