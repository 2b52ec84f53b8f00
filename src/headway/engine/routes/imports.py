"""``POST /images/create`` with ``fromSrc``: an image of a root file system's tar (moby-behaviour 6.7).

Rule: the body is what it is, whatever its content type: Docker loses it to a form where curl says it is one.
"""

from __future__ import annotations

from aiohttp import web

from headway.engine.body import with_body
from headway.engine.call import Call
from headway.engine.messages import said
from headway.engine.routing import Handler, Route
from headway.oci.platform import Platform
from headway.service.image_service import ImageService
from headway.service.importing import ImportRequest


class ImportRoutes:
    """Answers ``POST /images/create``.

    Args:
        service: Imports.
        host: The platform of an image where nobody says.
        pull: Answers where the image comes from a registry.
    """

    def __init__(self, service: ImageService, host: Platform, pull: Handler) -> None:
        self._service = service
        self._host = host
        self._pull = pull

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [Route("POST", "/images/create", self._create)]

    async def _create(self, call: Call) -> web.StreamResponse:
        if call.text("fromImage") or not call.text("fromSrc"):
            return await self._pull(call)
        return await self._from_body(call, self._request(call))

    def _request(self, call: Call) -> ImportRequest:
        text = call.text("platform")
        return ImportRequest(
            platform=Platform.parse(text, self._host) if text else self._host,
            repository=call.text("repo"),
            tag=call.text("tag"),
            message=call.text("message"),
            changes=call.texts("changes"),
            origin=call.text("fromSrc"),
        )

    async def _from_body(self, call: Call, request: ImportRequest) -> web.StreamResponse:
        image_id = await with_body(call.request, lambda source: self._service.import_image(source, request))
        return web.Response(body=said(str(image_id)).encode(), content_type="application/json")
