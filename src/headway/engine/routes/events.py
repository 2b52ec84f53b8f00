"""Streams of events, past and to come (moby-behaviour 8.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec
from aiohttp import web

from headway.engine.call import Call
from headway.engine.server import stream_headers
from headway.engine.shapes.events import event_message
from headway.service.events.event_query import EventQuery
from headway.service.events.events import Events
from headway.service.events.listening import Heard, listen


def messages(heard: Heard) -> Iterator[bytes]:
    """Yield events as Docker's clients read them, one a line."""
    for event in heard.events:
        yield msgspec.json.encode(event_message(event)) + b"\n"


async def stream_events(
    call: Call, events: Events, content_type: str, lines: Callable[[Heard], Iterable[bytes]]
) -> web.StreamResponse:
    """Answer with the events that a request asks for, until the end that it names.

    Args:
        call: The request, with its filters, ``since`` and ``until``.
        events: The events of the store.
        content_type: Media type of the answer.
        lines: Formats events.

    Raises:
        RequestError: A filter or a time is not valid.
    """
    query = EventQuery.parse(call.text("since"), call.text("until"), call.filters(), now=events.clock())
    response = web.StreamResponse(headers=stream_headers(content_type))
    with listen(events, query) as listener:
        await response.prepare(call.request)  # at once: a client waits for the headers before it goes on
        async with call.until_stopped():
            async for heard in listener.heard():
                await response.write(b"".join(lines(heard)))
    await response.write_eof()
    return response
