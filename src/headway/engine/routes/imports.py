"""``POST /images/create`` with ``fromSrc``: makes an image from the tar of a root file system (moby-behaviour 6.7).

Rule: if the query says that the tar is in the body, it is read as a tar, whatever its content type. Docker loses it if
      curl sends it as a form.
"""

from __future__ import annotations

from aiohttp import web

from headway.distribution.web_file import with_scheme
from headway.engine.body import with_body
from headway.engine.call import Call
from headway.engine.failures import AnsweredError
from headway.engine.messages import Emit, bar, said, waiting
from headway.engine.routing import Handler, Route
from headway.engine.stream import streamed
from headway.errors import FetchRefusedError
from headway.oci.platform import Platform
from headway.service.creation.importing import STDIN, ImportRequest
from headway.service.creation.web_import import Arriving
from headway.service.image_service import ImageService
from headway.service.transfers.progress import Waiting, Waits


class ImportRoutes:
    """Answers ``POST /images/create``.

    Args:
        service: Imports images.
        host: The platform of an image if the request names none.
        pull: Answers if the image comes from a registry.
    """

    def __init__(self, service: ImageService, host: Platform, pull: Handler) -> None:
        self._service = service
        self._host = host
        self._pull = pull

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [Route("POST", "/images/create", self._create)]

    async def _create(self, call: Call) -> web.StreamResponse:
        if call.text("fromSrc") != STDIN:
            await call.take_form()
        if call.text("fromImage") or not call.text("fromSrc"):
            return await self._pull(call)
        if call.text("fromSrc") == STDIN:
            return await self._from_body(call, self._request(call))
        return await self._from_web(call, self._request(call))

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

    async def _from_web(self, call: Call, request: ImportRequest) -> web.StreamResponse:
        url = with_scheme(call.text("fromSrc"))

        async def work(emit: Emit) -> None:
            try:
                image_id = await self._service.import_from_web(url, request, ImportMessages(url, emit))
            except FetchRefusedError as error:
                raise AnsweredError(404 if error.status == 404 else 500, str(error)) from error
            emit(said(str(image_id)), "")

        return await streamed(call, work)


class ImportMessages:
    """Turns the progress of a file into Docker's messages."""

    def __init__(self, url: str, emit: Emit) -> None:
        self._url = url
        self._emit = emit
        self._waits = Waits()
        self._has_begun = False

    def __call__(self, arriving: Arriving) -> None:
        """Report the progress; a wait is reported once."""
        if arriving.cause:
            if self._waits.is_new(Waiting(self._url, arriving.cause, arriving.retry_seconds)):
                self._emit(waiting(arriving.cause, arriving.retry_seconds), _BAR)
            return
        if not self._has_begun:
            self._has_begun = True
            self._emit(said(f"Downloading from {self._url}"), "")
        if arriving.held:
            self._emit(bar("Importing", "", arriving.held, arriving.size), _BAR)


_BAR = "import"
