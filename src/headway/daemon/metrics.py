"""Serves ``/metrics`` for Prometheus, on its own address (Docker's ``metrics-addr``)."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from headway.composition.measuring import measuring
from headway.distribution.pull_states import PullState
from headway.engine.connections import BoundedServer, serve
from headway.engine.metrics import CONTENT_TYPE, Family, RequestTimes, Sample, exposition
from headway.errors import Fault, HeadwayError
from headway.interfaces.usage import Usage
from headway.service.durable_pulls.pulls import Pulls
from headway.service.image_service import ImageService
from headway.service.stores import Stores
from headway.settings import Settings
from headway.version import VERSION

log = logging.getLogger(__name__)

MEASURE_SECONDS = 30.0
"""How old the store's sizes may be: measuring reads the database and walks containers' layers."""


class DaemonMetrics:
    """The measurements of one daemon.

    Args:
        service: Pulls images.
        pulls: All pulls.
        requests: How long requests took.
        measure: Returns the disk usage.
        clock: Returns monotonic time, in seconds.
    """

    def __init__(
        self,
        service: ImageService,
        pulls: Pulls,
        requests: RequestTimes,
        measure: Callable[[], Usage],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._pulls = pulls
        self._requests = requests
        self._measure = measure
        self._clock = clock
        self._measured: Usage | None = None
        self._measured_at = 0.0

    async def text(self) -> str:
        """Return all measurements, in Prometheus' text format."""
        if self._measured is None or self._clock() - self._measured_at > MEASURE_SECONDS:
            self._measured, self._measured_at = await asyncio.to_thread(self._measure), self._clock()
        return exposition((*self._of_pulls(), *self._of_network(), *_of_store(self._measured), self._requests.family()))

    def _of_pulls(self) -> Iterator[Family]:
        yield Family("headway_build_info", "gauge", "Which Headway this is.", (Sample(1, {"version": VERSION}),))
        counts, states = self._pulls.counts, self._pulls.states()
        ended = tuple(Sample(count, {"state": state}) for state, count in counts.ended.items())
        yield Family("headway_pulls_ended_total", "counter", "Pulls that have ended, by how.", ended)
        live = tuple(Sample(states[state], {"state": state}) for state in PullState if not state.has_ended)
        yield Family("headway_pulls", "gauge", "Pulls that have not ended, by state.", live)
        reused = (Sample(counts.reused),)
        yield Family("headway_reused_bytes_total", "counter", "Bytes that complete pulls found here.", reused)

    def _of_network(self) -> Iterator[Family]:
        puller, pusher = self._service.distribution_services().download_manager, self._service.upload_manager
        meters = (puller.meter, pusher.meter)
        received = (Sample(sum(meter.received_bytes for meter in meters)),)
        yield Family(
            "headway_received_bytes_total", "counter", "Bytes that came from registries, headers too.", received
        )
        sent = (Sample(sum(meter.sent_bytes for meter in meters)),)
        yield Family("headway_sent_bytes_total", "counter", "Bytes of content that pushes sent to registries.", sent)
        asked = (Sample(sum(meter.requests for meter in meters)),)
        yield Family("headway_registry_requests_total", "counter", "Answers of registries.", asked)
        retries = puller.tools.retries + pusher.tools.retries
        causes = tuple(Sample(count, {"cause": cause}) for cause, count in sorted(retries.items()))
        yield Family(
            "headway_retries_total",
            "counter",
            "Requests to registries that failed and can be made again, by cause.",
            causes,
        )
        stalls = (Sample(retries[Fault.STALLED.value]),)
        yield Family("headway_stalls_total", "counter", "Connections that went silent and were replaced.", stalls)
        active = (Sample(puller.active_transfers),)
        yield Family("headway_active_transfers", "gauge", "Layers that are being received.", active)


def _of_store(usage: Usage) -> Iterator[Family]:
    kinds = {kind: kind.value.lower() for kind in usage.kinds}
    sizes = tuple(Sample(share.disk_bytes, {"kind": kinds[kind]}) for kind, share in usage.kinds.items())
    yield Family("headway_store_bytes", "gauge", "What the data root takes up on the disk, by kind.", sizes)
    reclaimable = tuple(Sample(share.reclaimable, {"kind": kinds[kind]}) for kind, share in usage.kinds.items())
    yield Family("headway_store_reclaimable_bytes", "gauge", "What of that a prune can free, by kind.", reclaimable)
    counts = tuple(Sample(share.count, {"kind": kinds[kind]}) for kind, share in usage.kinds.items() if share.count)
    yield Family("headway_store_items", "gauge", "How many images, containers and so on there are.", counts)


@asynccontextmanager
async def metrics_served(
    listeners: Sequence[socket.socket],
    service: ImageService,
    pulls: Pulls,
    requests: RequestTimes,
    stores: Stores,
    settings: Settings,
) -> AsyncIterator[None]:
    """Serve ``/metrics`` on `listeners` for as long as the block lasts."""

    def measure() -> Usage:
        with measuring(settings, held=stores.leases.held) as (_, disk):
            return disk.measure()

    metrics = DaemonMetrics(service, pulls, requests, measure)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path != "/metrics" or request.method not in ("GET", "HEAD"):
            return web.Response(status=404, text="page not found\n")
        try:
            text = await metrics.text()
        except HeadwayError as error:  # the next time may be better: the disk is full, say
            log.warning("cannot measure: %s", error)
            return web.Response(status=503, text=f"{error}\n")
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    server = BoundedServer(answer)
    listening = [await serve(server, each) for each in listeners]
    try:
        yield
    finally:
        for each in listening:
            each.close()
        await server.shutdown(1.0)
