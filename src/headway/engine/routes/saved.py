"""Archives of images: ``docker save`` and ``docker load`` (moby-behaviour 6.11, 6.12).

Rule 1: a save that cannot be is an HTTP error, since everything is known before the first byte; one that fails later
        ends without its end.
Rule 2: a load that fails before it has said anything is an HTTP error, too. Docker says 200 and puts it into the
        stream; clients look at both, and scripts at the status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from headway.engine.body import BodySource, with_body
from headway.engine.call import Call
from headway.engine.download import sent
from headway.engine.messages import Emit, Message, bar
from headway.engine.routing import Route
from headway.engine.stream import streamed
from headway.layers.archives.reader import StreamArchive
from headway.service.archives.loading import LayerLoading, LoadEvent, sentences
from headway.service.images_here import ImagesHere


class SavedRoutes:
    """Writes and reads archives.

    Args:
        service: Has the images.
    """

    def __init__(self, service: ImagesHere) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [
            Route("GET", "/images/get", self._save),
            Route("GET", "/images/{name}/get", self._save_one),
            Route("POST", "/images/load", self._load),
        ]

    async def _save(self, call: Call) -> web.StreamResponse:
        return await self._sent(call, call.texts("names"))

    async def _save_one(self, call: Call) -> web.StreamResponse:
        return await self._sent(call, [call.places["name"]])

    async def _sent(self, call: Call, names: Sequence[str]) -> web.StreamResponse:
        pieces = self._service.export_image(names, call.platform())
        return await sent(call, pieces, "application/x-tar")

    async def _load(self, call: Call) -> web.StreamResponse:
        platform, quiet = call.platform(), call.flag("quiet", default=True)

        async def work(emit: Emit) -> None:
            tell = _Teller(emit, quiet=quiet)

            def load(source: BodySource) -> None:
                self._service.load_image(StreamArchive(source), tell, platform=platform)

            await with_body(call.request, load)

        return await streamed(call, work)


class _Teller:
    """Turns what a load tells, in its thread, into messages."""

    def __init__(self, emit: Emit, *, quiet: bool) -> None:
        self._emit = emit
        self._quiet = quiet
        self._loop = asyncio.get_running_loop()

    def __call__(self, event: LoadEvent) -> None:
        if not isinstance(event, LayerLoading):
            for said in sentences(event):
                self._loop.call_soon_threadsafe(self._emit, Message(stream=said), "")
        elif not self._quiet:
            subject = event.name.removesuffix("/layer.tar").rpartition("/")[2][:12]
            message = bar("Loading layer", subject, event.done, event.size)
            self._loop.call_soon_threadsafe(self._emit, message, subject)
