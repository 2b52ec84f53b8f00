"""Headway's own routes, for its own command: what Docker's API cannot say (``/headway/…``).

Rule: what is asked and answered are the services' values, as they are (`headway.wire`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import msgspec
from aiohttp import web

from headway import wire
from headway.composition.asking import ATTEMPTS
from headway.composition.checking import checking
from headway.composition.containers import mounts
from headway.composition.measuring import measuring
from headway.composition.reading import traffic_of
from headway.composition.writing import imagining
from headway.engine.answers import document
from headway.engine.call import MAX_DOCUMENT_BYTES, Call
from headway.engine.routes.events import stream_events
from headway.engine.routing import Handler, Route
from headway.engine.stream import streamed
from headway.errors import HeadwayError, RequestError
from headway.oci.reference import Reference
from headway.service.containers.mounting import Mounting, mounted
from headway.service.events.listening import Heard
from headway.service.health.damage import Checked
from headway.service.image_service import ImageService
from headway.service.images.prune import Pruner, PruneReport
from headway.service.limits.own_limits import OwnLimits, keeping_to
from headway.service.queries.filters import Filters
from headway.service.registries.outdated import Outdated
from headway.service.registries.repository import Repository
from headway.service.requests.registries import OutdatedRequest
from headway.service.requests.requests import HeardEvent, Measured, MountRequest, PruneRequest, UnmountRequest
from headway.service.stores import Stores
from headway.settings import Settings

T = TypeVar("T")
Answer = Callable[[Call], Awaitable[object]]


class HeadwayRoutes:
    """Answers Headway's own command.

    Args:
        service: Knows images, and asks registries.
        stores: Where things are.
        settings: What does not change while the daemon runs: where the data root is, and which driver is wanted.
    """

    def __init__(self, service: ImageService, stores: Stores, settings: Settings) -> None:
        self._service = service
        self._stores = stores
        self._settings = settings
        self._mounting = Mounting(mounts(settings, stores), stores)

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [
            Route("GET", "/headway/images", answering(self._images)),
            Route("GET", "/headway/image", answering(self._image)),
            Route("GET", "/headway/history", answering(self._history)),
            Route("GET", "/headway/usage", answering(self._usage)),
            Route("GET", "/headway/check", answering(self._check)),
            Route("GET", "/headway/traffic", answering(self._traffic)),
            Route("POST", "/headway/outdated", answering(self._outdated)),
            Route("GET", "/headway/events", self._events),
            Route("GET", "/headway/mounts", answering(self._mounts)),
            Route("POST", "/headway/mounts", answering(self._mount)),
            Route("DELETE", "/headway/mounts", answering(self._unmount)),
            Route("POST", "/headway/tag", answering(self._tag)),
            Route("DELETE", "/headway/image", answering(self._delete)),
            Route("POST", "/headway/prune", answering(self._prune)),
        ]

    async def _images(self, call: Call) -> object:
        filters = call.filters()
        return await asyncio.to_thread(self._service.images, filters, intermediate=call.flag("all"))

    async def _image(self, call: Call) -> object:
        return await asyncio.to_thread(self._service.lookup_image, call.text("name"))

    async def _history(self, call: Call) -> object:
        return await asyncio.to_thread(self._service.image_history, call.text("name"))

    async def _tag(self, call: Call) -> object:
        await asyncio.to_thread(self._service.tag_image, call.text("source"), call.text("target"))
        return None

    async def _delete(self, call: Call) -> object:
        delete = self._service.image_delete
        return await asyncio.to_thread(
            delete, call.text("name"), force=call.flag("force"), prune=call.flag("prune", default=True)
        )

    async def _usage(self, call: Call) -> object:
        def measure() -> Measured:
            with measuring(self._settings, held=self._stores.leases.held) as (_, disk):
                return Measured(disk.measure(), self._service.images(intermediate=True))

        return await asyncio.to_thread(measure)

    async def _outdated(self, call: Call) -> object:
        wanted = await request_value(call, OutdatedRequest)
        references = [Reference.parse(name).with_default_tag() for name in wanted.names]

        def repository(reference: Reference) -> Repository:
            login = wanted.logins.get(reference.repository)
            return self._service.get_repository(reference, login, insecure=wanted.insecure)

        with keeping_to(OwnLimits(attempts=ATTEMPTS, patience=0.0)):
            return await Outdated(self._stores, repository).check(references)

    async def _check(self, call: Call) -> object:
        is_full = call.flag("full")

        def check() -> Checked:
            with checking(self._settings) as checker:
                return checker.check(full=is_full, tell=lambda _done, _of: None)

        return await asyncio.to_thread(check)

    async def _traffic(self, call: Call) -> object:
        return await asyncio.to_thread(traffic_of, self._settings, call.text("since"), call.text("until"))

    async def _prune(self, call: Call) -> object:
        wanted = await request_value(call, PruneRequest)
        prune = self._imagined_prune if wanted.dry_run else self._service.images_prune
        return await asyncio.to_thread(prune, wanted.filters, unfinished=wanted.unfinished)

    def _imagined_prune(self, filters: Filters, *, unfinished: bool) -> PruneReport:
        with imagining(self._settings, held=self._stores.leases.held) as stores:
            return Pruner(stores).prune(filters, unfinished=unfinished)

    async def _mounts(self, call: Call) -> object:
        return await asyncio.to_thread(mounted, self._stores)

    async def _mount(self, call: Call) -> object:
        wanted = await request_value(call, MountRequest)
        mount = self._mounting.mount
        return await asyncio.to_thread(mount, wanted.name, wanted.directory, read_write=wanted.read_write)

    async def _unmount(self, call: Call) -> object:
        wanted = await request_value(call, UnmountRequest)
        unmount = self._mounting.unmount
        return await asyncio.to_thread(unmount, wanted.name, wanted.place, remove=wanted.remove)

    async def _events(self, call: Call) -> web.StreamResponse:
        """Stream events, one a line."""
        return await stream_events(call, self._stores.events, "application/x-ndjson", _lines)


def _lines(heard: Heard) -> Iterator[bytes]:
    if heard.missed:
        yield wire.encode(HeardEvent(missed=heard.missed)) + b"\n"
    for event in heard.events:
        yield wire.encode(HeardEvent(event=event)) + b"\n"


def answering(answer: Answer) -> Handler:
    """Return the handler that sends what `answer` returns."""

    async def handle(call: Call) -> web.StreamResponse:
        return document(await answer(call))

    return handle


async def stream_progress(
    call: Call, work: Callable[[Callable[[T], None]], Awaitable[object]], replaces: Callable[[T], str]
) -> web.StreamResponse:
    """Answer with the progress of some work, one event a line; an error of ours is the last line.

    Args:
        call: The request.
        work: Does the work, and calls its argument with each event.
        replaces: Returns the key of an event, which replaces an unread one with the same key; empty for an event that
            must be delivered.
    """

    async def emit_all(emit: Callable[[wire.EventLine, str], None]) -> None:
        try:
            await work(lambda event: emit(wire.EventLine.of(event), replaces(event)))
        except HeadwayError as error:
            emit(wire.EventLine(error=error), "")

    return await streamed(call, emit_all)


async def request_value(call: Call, kind: type[T]) -> T:
    """Return the value in the body of a request.

    Raises:
        RequestError: The body is not a `kind`.
    """
    try:
        return wire.decode(await call.body(MAX_DOCUMENT_BYTES), kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RequestError(f"invalid request: {error}") from None
