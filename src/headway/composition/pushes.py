"""What pushes: network, uploads and open stores, joined."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from headway.composition.network import credential_source, http_client
from headway.distribution.addresses import AddressBook
from headway.distribution.connection_lives import ConnectionLives
from headway.distribution.flow import LinkMemory
from headway.distribution.standing import Standing
from headway.distribution.streams import Streams
from headway.errors import HeadwayError
from headway.interfaces.registries import Pusher, Registry
from headway.layers.layer_tars import StoredLayerTars
from headway.layers.packing import pack_gzip
from headway.registry.client import RegistryClient
from headway.registry.uploads import RegistryPusher
from headway.service.blob_upload import PushTools
from headway.service.lanes import Lanes
from headway.service.layer_pushes import LayerPushes
from headway.service.live_limits import LiveLimits
from headway.service.push import ImagePusher
from headway.service.push_content import LayerContents
from headway.service.slots import Slots
from headway.service.stores import Stores
from headway.service.tools import Tools
from headway.settings import Settings
from headway.store.data_root import DataRoot
from headway.store.spool import SpoolFile


@asynccontextmanager
async def pushing(
    settings: Settings,
    stores: Stores,
    *,
    limits: LiveLimits | None = None,
    registry: Registry | None = None,
    pusher: Pusher | None = None,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> AsyncIterator[ImagePusher]:
    """Give what pushes images of open stores; its uploads end with the block.

    Args:
        settings: What it keeps to.
        stores: Where the images are.
        limits: Limits that may change meanwhile; None for those that are set.
        registry: Asked instead of those on the network.
        pusher: Pushed to instead of those on the network.
        clock: Monotonic time, in seconds, that retries are judged by.
        wall: Seconds since the epoch, as this machine has them.
    """
    limits = limits or LiveLimits(settings.limits)
    hosts = stores.hosts
    standing = Standing(AddressBook(hosts.addresses()), ConnectionLives(hosts.lives(), now=wall()))
    http = http_client(settings, standing=standing, wall=wall)
    client = RegistryClient(http, credential_source(settings), clock=clock)
    lanes = Lanes()
    tools = Tools(
        registry=registry or client,
        lanes=lanes,
        memory=LinkMemory(),
        standing=standing,
        streams=Streams(),
        policy=limits.policy,
        clock=clock,
        jitter=random.random,
    )
    push_tools = PushTools(
        pusher=pusher or RegistryPusher(client),
        lanes=lanes,
        standing=standing,
        policy=limits.policy,
        clock=clock,
        wall=wall,
        jitter=random.random,
    )
    contents = LayerContents(
        stores,
        tars=StoredLayerTars(stores.layers),
        packer=pack_gzip,
        spool=partial(SpoolFile, DataRoot(settings.data_root).tmp),
    )
    failure: HeadwayError | None = None
    try:
        async with asyncio.TaskGroup() as group:
            slots = Slots(limits.current.max_concurrent_uploads)
            limits.attach_uploads(slots.set_limit)
            layers = LayerPushes(push_tools, stores, contents, slots=slots, group=group)
            try:
                yield ImagePusher(tools, push_tools, layers, contents, stores)
            except HeadwayError as error:
                failure = error  # raised behind the group, which would wrap it
        if failure is not None:
            raise failure
    finally:
        http.close()
        hosts.found(standing.addresses.take_new())
        lanes.close()
