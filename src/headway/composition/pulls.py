"""Builds the puller: joins the network, transfers and open stores."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from msgspec.structs import asdict

from headway.composition.late import late_workers
from headway.composition.network import credential_source, transport_of
from headway.composition.tools import tools_over
from headway.distribution.addresses import AddressBook
from headway.distribution.standing import Standing
from headway.distribution.unfinished import Limits
from headway.interfaces.registries import Registry
from headway.layers.unpacking.heaps import share_heaps
from headway.registry.client import RegistryClient
from headway.registry.names import Resolve
from headway.registry.request import Sender
from headway.registry.window import KeptRate
from headway.service.concurrency.executors import Executors
from headway.service.concurrency.slots import Slots
from headway.service.limits.live_limits import LiveLimits
from headway.service.limits.own_limits import own_limits, rate_over
from headway.service.pulling.disk_care import DiskCare
from headway.service.pulling.preflight import Preflight
from headway.service.pulling.pull import Puller
from headway.service.pulling.unfinished import UnfinishedDownloads
from headway.service.stores import Stores
from headway.service.transfers.tools import TransferTools
from headway.service.transfers.traffic import TrafficLedger
from headway.service.transfers.transfer import Transfers
from headway.settings import Settings
from headway.store.space.free_space import space

# The command line shows progress in its own way, and must not show it twice. To read the log, add a handler.
logging.getLogger("headway").addHandler(logging.NullHandler())


def _disk_care(settings: Settings, stores: Stores, executors: Executors) -> DiskCare:
    preflight = Preflight(
        stores,
        stores.ingests,
        space=partial(space, settings.data_root),
        at_once=settings.max_concurrent_downloads,
        place=str(settings.data_root),
    )
    limits = Limits(settings.unfinished_max_age, settings.unfinished_max_size)
    return DiskCare(executors, preflight, UnfinishedDownloads(stores.ingests, limits))


@asynccontextmanager
async def pulling(
    settings: Settings,
    stores: Stores,
    *,
    limits: LiveLimits | None = None,
    registry: Registry | None = None,
    clock: Callable[[], float] = time.monotonic,
    resolve: Resolve | None = None,
    wall: Callable[[], float] = time.time,
) -> AsyncIterator[Puller]:
    """Give a puller over open stores; its transfers end with the block.

    Args:
        settings: Limits, mirrors, proxies and logins.
        stores: Where images are put.
        limits: Limits that may change while it runs; None for those of `settings`.
        registry: Asked instead of the network; for tests.
        clock: Monotonic time, in seconds, for retries and rates.
        resolve: Looks a name up, as `socket.getaddrinfo` does, which None stands for.
        wall: Seconds since the epoch, by this machine's clock.
    """
    share_heaps()
    limits = limits or LiveLimits(settings.limits)
    rate = limits.rate
    standing = Standing(AddressBook(stores.hosts.addresses()))

    def kept_rate() -> KeptRate | None:
        kept = rate_over(rate).rate  # a pull with a rate of its own has one connection at a time
        is_alone = own_limits().rate is not None or slots.has_one
        return None if kept is None else KeptRate(kept, 1 if is_alone else limits.current.max_concurrent_downloads)

    transport = transport_of(settings, standing=standing, resolve=resolve, wall=wall, rate=kept_rate)
    client = registry or RegistryClient(Sender(transport, credential_source(settings), clock=clock))
    meter = transport.meter
    with tools_over(transport, stores.hosts, policy=limits.policy, clock=clock) as asking:
        tools = TransferTools(**asdict(asking), registry=client, rate=rate, useful=meter.useful, reused=meter.reused)
        async with TrafficLedger(meter, stores.traffic, tools.executors, wall).group() as group:
            slots = Slots(limits.current.max_concurrent_downloads, lambda: tools.streams.blobs_at_once)
            limits.attach(lambda now: slots.set_limit(now.max_concurrent_downloads))
            applier = late_workers(settings)
            retain = settings.retain_layer_blobs
            transfers = Transfers(tools, stores, applier=applier, slots=slots, group=group, retain=retain)
            yield Puller(tools, transfers, stores, _disk_care(settings, stores, tools.executors), meter)
