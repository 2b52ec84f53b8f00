"""``POST /images/{name}/push`` (moby-behaviour 3.7), and what Headway's own command asks beside it.

Rule: a client that leaves ends its push; what is whole at the registry stays there.
"""

from __future__ import annotations

from aiohttp import web

from headway.engine import queries
from headway.engine.call import Call
from headway.engine.logins import login_of
from headway.engine.messages import Emit
from headway.engine.push_messages import PushMessages, push_error
from headway.engine.routes.headway import request_value, stream_progress
from headway.engine.routing import Route
from headway.engine.stream import streamed
from headway.errors import HeadwayError, InvalidReferenceError
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.service.image_service import ImageService
from headway.service.pushing.progress import LayerPush, PushEvent, PushReport
from headway.service.requests.registries import PushWish


class PushRoutes:
    """Answers what pushes.

    Args:
        service: Pushes.
        host: What a platform is completed from.
    """

    def __init__(self, service: ImageService, host: Platform) -> None:
        self._service = service
        self._host = host

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [
            Route("POST", "/images/{name}/push", self._push),
            Route("POST", "/headway/push", self._push_for_headway),
        ]

    async def _push(self, call: Call) -> web.StreamResponse:
        await call.take_form()
        reference = _wanted(call.places["name"], call.text("tag"))
        platform = queries.platform(call.query)
        login = login_of(call)

        async def work(emit: Emit) -> None:
            messages = PushMessages(reference, emit)
            try:
                if reference.digest is not None:
                    raise InvalidReferenceError("cannot push a digest reference")
                await self._service.push_image(reference, messages, platform=platform, login=login)
            except HeadwayError as error:
                raise push_error(error) from error

        return await streamed(call, work)

    async def _push_for_headway(self, call: Call) -> web.StreamResponse:
        wish = await request_value(call, PushWish)
        reference = Reference.parse(wish.reference)
        platform = Platform.parse(wish.platform, self._host) if wish.platform else None
        login = login_of(call)

        async def push(report: PushReport) -> None:
            await self._service.push_image(reference, report, platform=platform, login=login, insecure=wish.insecure)

        return await stream_progress(call, push, _replaced)


def _replaced(event: PushEvent) -> str:
    """Return the key of an event, which replaces an unread one with the same key; empty for one to be delivered."""
    return f"{event.diff_id} {event.phase}" if isinstance(event, LayerPush) else ""


def _wanted(name: str, tag: str) -> Reference:
    """Return what is to be pushed; without a tag, every tag of the repository.

    Raises:
        InvalidReferenceError: It names nothing.
    """
    reference = Reference.parse(name)
    return reference.with_tag(tag) if tag else reference
