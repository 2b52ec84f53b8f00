"""The parts that the image service is made of (moby-behaviour 1.1)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec

from headway.distribution.transfer_limits import TransferLimits
from headway.interfaces.container_files import FileAccess
from headway.interfaces.files import Applier
from headway.interfaces.trust import TrustKey
from headway.service.archives.loading import Loader
from headway.service.archives.saving import Saver
from headway.service.limits.live_limits import LiveLimits
from headway.service.pulling.pull import Puller
from headway.service.pushing.push import ImagePusher
from headway.service.registries.registry_service import RegistryService
from headway.service.stores import Stores


class ImageServiceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that the service is made of.

    Attributes:
        stores: Containers, images, references, layers, distribution metadata, events, and everything else below the
            data root.
        place: A directory on the file system that holds the layers.
        registry_service: Whom to ask, and how.
        trust_key: The daemon's own key.
        applier: Unpacks the layer of an image that is made here, and records its recipe.
        access: Reads containers' file systems.
        saver: Writes archives of images.
        loader: Reads them.
        pulls: Makes what pulls, for as long as its context lasts.
        pushes: The same for what pushes.
        limits: Of its transfers, to begin with.
    """

    stores: Stores
    place: Path
    registry_service: RegistryService
    trust_key: TrustKey
    applier: Applier
    access: FileAccess
    saver: Saver
    loader: Loader
    pulls: Callable[[LiveLimits], AbstractAsyncContextManager[Puller]]
    pushes: Callable[[LiveLimits], AbstractAsyncContextManager[ImagePusher]]
    limits: TransferLimits = TransferLimits()
