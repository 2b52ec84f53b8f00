"""``POST /commit``: an image of what a container has changed (moby-behaviour 6.17)."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from headway.engine.answers import document
from headway.engine.call import Call
from headway.engine.routing import Route
from headway.service.commit import CommitRequest
from headway.service.image_service import ImageService


class CommitRoutes:
    """Makes images of containers.

    Args:
        service: Makes them.
    """

    def __init__(self, service: ImageService) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [Route("POST", "/commit", self._commit)]

    async def _commit(self, call: Call) -> web.StreamResponse:
        # ``pause`` asks for what is so: nothing runs in a container here.
        request = CommitRequest(
            container=call.text("container"),
            repository=call.text("repo"),
            tag=call.text("tag"),
            author=call.text("author"),
            comment=call.text("comment"),
            config=await call.document_if_any(dict[str, Any]) or None,  # docker-py sends {} for none
            changes=call.texts("changes"),
        )
        image_id = await asyncio.to_thread(self._service.commit_image, request)
        return document({"Id": str(image_id)}, 201)
