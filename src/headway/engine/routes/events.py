"""``GET /events``: what happened, and what happens (moby-behaviour 8.1)."""

from __future__ import annotations

import msgspec
from aiohttp import web

from headway.engine.call import Call
from headway.engine.routing import Route
from headway.engine.server import stream_headers
from headway.engine.shapes.events import event_message
from headway.service.event_query import EventQuery
from headway.service.events import Events
from headway.service.listening import listen


class EventRoutes:
    """Streams events to whoever listens.

    Args:
        events: Where they are told.
    """

    def __init__(self, events: Events) -> None:
        self._events = events

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [Route("GET", "/events", self._stream)]

    async def _stream(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        query = EventQuery.parse(call.text("since"), call.text("until"), filters, now=self._events.clock())
        response = web.StreamResponse(headers=stream_headers("application/json"))
        with listen(self._events, query) as listener:
            await response.prepare(call.request)  # at once: a client waits for the headers before it goes on
            async with call.until_stopped():
                async for batch in listener.heard():
                    lines = [msgspec.json.encode(event_message(event)) + b"\n" for event in batch.events]
                    await response.write(b"".join(lines))
        await response.write_eof()
        return response
