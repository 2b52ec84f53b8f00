"""Builds the pusher: joins the network, uploads and open stores."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial

from msgspec.structs import asdict

from headway.composition.network import credential_source, transport_of
from headway.composition.tools import tools_over
from headway.distribution.addresses import AddressBook
from headway.distribution.connection_lives import ConnectionLives
from headway.distribution.standing import Standing
from headway.interfaces.packing import Packer
from headway.interfaces.registries import Pusher
from headway.layers.compression.packing import GzipPacker
from headway.layers.recipes.layer_tars import StoredLayerTars
from headway.registry.pusher import RegistryPusher
from headway.registry.request import Sender
from headway.service.concurrency.slots import Slots
from headway.service.limits.live_limits import LiveLimits
from headway.service.pushing.blob_upload import PushTools
from headway.service.pushing.content import LayerContents
from headway.service.pushing.layer_pushes import LayerPushes
from headway.service.pushing.push import ImagePusher
from headway.service.stores import Stores
from headway.service.transfers.traffic import TrafficLedger
from headway.settings import Settings
from headway.store.content.spool import SpoolFile
from headway.store.data_root import DataRoot


def _contents(settings: Settings, stores: Stores, packer: Packer) -> LayerContents:
    spool = partial(SpoolFile, DataRoot(settings.data_root).tmp)
    return LayerContents(stores, tars=StoredLayerTars(stores.layers), packer=packer, spool=spool)


@asynccontextmanager
async def pushing(
    settings: Settings,
    stores: Stores,
    *,
    limits: LiveLimits | None = None,
    pusher: Pusher | None = None,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> AsyncIterator[ImagePusher]:
    """Give a pusher of the images in open stores; its uploads end with the block.

    Args:
        settings: Limits, proxies and logins.
        stores: Where the images are.
        limits: Limits that may change while it runs; None for those of `settings`.
        pusher: Used instead of the network; for tests.
        clock: Monotonic time, in seconds, for retries.
        wall: Seconds since the epoch, by this machine's clock.
    """
    limits = limits or LiveLimits(settings.limits)
    hosts = stores.hosts
    standing = Standing(AddressBook(hosts.addresses()), ConnectionLives(hosts.lives(), now=wall()))
    transport = transport_of(settings, standing=standing, wall=wall)
    pusher = pusher or RegistryPusher(Sender(transport, credential_source(settings), clock=clock))
    with (
        tools_over(transport, hosts, policy=limits.policy, clock=clock) as asking,
        closing(GzipPacker(len(os.sched_getaffinity(0)))) as packer,
    ):
        contents = _contents(settings, stores, packer)
        tools = PushTools(**asdict(asking), pusher=pusher, wall=wall)
        async with TrafficLedger(transport.meter, stores.traffic, tools.executors, wall).group() as group:
            slots = Slots(limits.current.max_concurrent_uploads)
            limits.attach(lambda now: slots.set_limit(now.max_concurrent_uploads))
            layers = LayerPushes(tools, stores, contents, slots=slots, group=group)
            yield ImagePusher(tools, layers, contents, stores, transport.meter)
