"""Builds the image service over one data root, for the daemon and for programs that embed Headway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from headway.composition.host_platform import host_platform
from headway.composition.loading import loader
from headway.composition.network import credential_source, transport_of
from headway.composition.pulls import pulling
from headway.composition.pushes import pushing
from headway.composition.saving import saver
from headway.composition.unpacking import apply_apart
from headway.distribution.endpoints import InsecureRegistries
from headway.layers.rootfs.file_access import RootfsAccess
from headway.registry.logins import verify
from headway.registry.request import Sender
from headway.registry.search import SearchClient
from headway.registry.web_files import WebClient
from headway.service.image_service import ImageService
from headway.service.image_service_config import ImageServiceConfig
from headway.service.registries.registry_service import RegistryService
from headway.service.stores import Stores
from headway.settings import Settings
from headway.store.data_root import DataRoot
from headway.store.trust_key import load_or_make


@asynccontextmanager
async def image_service(
    settings: Settings, stores: Stores, *, current: Callable[[], Settings] | None = None
) -> AsyncIterator[ImageService]:
    """Give the service over open stores until the block ends; the first use of a data root makes the daemon's key.

    Args:
        settings: Those at the start.
        stores: As opened by `composition.writing.writing`.
        current: Returns the settings at this moment, from which each pull takes mirrors and insecure registries; None
            where they do not change.

    Raises:
        StoreCorruptError: The daemon's key is damaged.
        StoreError: The disk failed.
    """
    root = DataRoot(settings.data_root)
    now = current or (lambda: settings)
    transport = transport_of(settings)
    sender = Sender(transport, credential_source(settings))
    config = ImageServiceConfig(
        stores=stores,
        place=root.tmp,
        registry_service=RegistryService(
            index=SearchClient(sender),
            files=WebClient(sender),
            verify=partial(verify, transport),
            mirrors_of=lambda domain: now().mirrors_of(domain),
            insecure=lambda: InsecureRegistries(now().insecure_registries),
            host_platform=host_platform(),
        ),
        trust_key=load_or_make(root.path / "key.json"),
        applier=apply_apart,
        access=RootfsAccess(),
        saver=saver(stores),
        loader=loader(settings, stores),
        pulls=lambda limits: pulling(settings, stores, limits=limits),
        pushes=lambda limits: pushing(settings, stores, limits=limits),
        limits=settings.limits,
    )
    try:
        async with ImageService(config) as service:
            yield service
    finally:
        transport.close()
