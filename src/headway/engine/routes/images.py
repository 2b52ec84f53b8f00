"""Images: list, inspect, history, tag, delete, prune, search (moby-behaviour 6.3 to 6.10, 6.14)."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from headway.engine import queries
from headway.engine.answers import document, leaving
from headway.engine.api_version import ApiVersion
from headway.engine.call import Call
from headway.engine.logins import login_of
from headway.engine.queries import InvalidQueryError
from headway.engine.routing import Route
from headway.engine.shapes.images import history_step, inspected, removals, summary
from headway.oci.platform import Platform
from headway.service.image_service import ImageService

log = logging.getLogger(__name__)

_COUNTS_CONTAINERS = ApiVersion(1, 51)
_DELETES_PLATFORMS = ApiVersion(1, 50)


class ImageRoutes:
    """Answers requests about the images here, and searches of registries.

    Args:
        service: Answers for the images.
    """

    def __init__(self, service: ImageService) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [
            Route("GET", "/images/json", self._list),
            Route("GET", "/images/search", self._search),
            Route("POST", "/images/prune", self._prune),
            Route("GET", "/images/{name}/json", self._inspect),
            Route("GET", "/images/{name}/history", self._history),
            Route("POST", "/images/{name}/tag", self._tag),
            Route("DELETE", "/images/{name}", self._delete),
        ]

    async def _list(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        if call.version < ApiVersion(1, 41) and call.text("filter"):
            filters.setdefault("reference", []).append(call.text("filter"))
        listed = await asyncio.to_thread(
            self._service.images,
            filters,
            intermediate=call.flag("all"),
            containers=call.version >= _COUNTS_CONTAINERS,
            shared_size=call.flag("shared-size"),
        )
        return document([summary(image, call.version) for image in listed])

    async def _inspect(self, call: Call) -> web.StreamResponse:
        name = call.places["name"]
        platform = call.platform()
        if platform is not None and call.flag("manifests"):
            raise InvalidQueryError("conflicting options: manifests and platform options cannot both be set")
        await self._require_platform(name, platform)
        return document(inspected(await asyncio.to_thread(self._service.lookup_image, name), call.version))

    async def _history(self, call: Call) -> web.StreamResponse:
        name = call.places["name"]
        await self._require_platform(name, call.platform())
        steps = await asyncio.to_thread(self._service.image_history, name)
        return document([history_step(step) for step in steps])

    async def _tag(self, call: Call) -> web.StreamResponse:
        await call.take_form()
        await asyncio.to_thread(self._service.tag_image, call.places["name"], call.text("repo"), call.text("tag"))
        return web.Response(status=201)

    async def _delete(self, call: Call) -> web.StreamResponse:
        name = call.places["name"]
        if call.version >= _DELETES_PLATFORMS:
            if len(call.texts("platforms")) > 1:
                raise InvalidQueryError("multiple platforms are not supported")
            await self._require_platform(name, queries.platform(call.query, "platforms"))
        done = await asyncio.to_thread(
            self._service.image_delete, name, force=call.flag("force"), prune=not call.flag("noprune")
        )
        return document(removals(done))

    async def _require_platform(self, name: str, platform: Platform | None) -> None:
        """Check that an image is for the requested platform, if there is one.

        Raises:
            NotFoundError: There is no such image, or it is for another one.
        """
        if platform is not None:
            await asyncio.to_thread(self._service.get_image, name, platform)

    async def _prune(self, call: Call) -> web.StreamResponse:
        await call.take_form()
        filters = call.filters()
        with leaving() as has_left:  # a client that leaves stops the prune between two images
            report = await asyncio.to_thread(self._service.images_prune, filters, stopped=has_left)
        for problem in report.kept:  # Docker's answer has no place for it
            log.warning("image prune: %s", problem)
        return document({"ImagesDeleted": removals(report.deleted) or None, "SpaceReclaimed": report.size})

    async def _search(self, call: Call) -> web.StreamResponse:
        found = await self._service.search_registry_for_images(
            call.text("term"), limit=call.number("limit"), filters=call.filters(), login=login_of(call)
        )
        return document(found)
