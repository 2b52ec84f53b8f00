"""``GET /system/df`` (moby-behaviour 6.21)."""

from __future__ import annotations

import asyncio

from aiohttp import web

from headway.engine.answers import document
from headway.engine.api_version import ApiVersion
from headway.engine.call import Call
from headway.engine.queries import InvalidQueryError
from headway.engine.routing import Route
from headway.engine.shapes.containers import listed
from headway.engine.shapes.images import summary
from headway.service.containers.listing import ContainerListing
from headway.service.images_here import ImagesHere

_HAS_TYPES = ApiVersion(1, 42)
_TYPES = frozenset(("image", "container", "volume", "build-cache"))


class UsageRoutes:
    """Says what takes up how much, as Docker counts it; what the disk says is `headway df`.

    Args:
        service: Knows images and layers.
        listing: Lists containers.
    """

    def __init__(self, service: ImagesHere, listing: ContainerListing) -> None:
        self._service = service
        self._listing = listing

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [Route("GET", "/system/df", self._df)]

    async def _df(self, call: Call) -> web.StreamResponse:
        wanted = frozenset(call.texts("type")) if call.version >= _HAS_TYPES else frozenset[str]()
        if unknown := wanted - _TYPES:
            raise InvalidQueryError(f"unknown object type: {sorted(unknown)[0]}")
        return document(await asyncio.to_thread(self._usage, call.version, wanted or _TYPES))

    def _usage(self, version: ApiVersion, wanted: frozenset[str]) -> dict[str, object]:
        usage: dict[str, object] = {"LayersSize": 0, "Images": None, "Containers": None, "Volumes": None}
        if "image" in wanted:
            usage["LayersSize"] = self._service.layer_disk_usage()
            images = self._service.images(containers=True, shared_size=True)
            usage["Images"] = [summary(image, version) for image in images]
        if "container" in wanted:
            usage["Containers"] = [
                listed(
                    container,
                    image=self._listing.image_name(container),
                    sizes=self._service.get_container_layer_size(container.container_id),
                )
                for container in self._listing.containers(stopped=True)
            ]
        if "volume" in wanted:
            usage["Volumes"] = []
        usage["BuildCache"] = [] if "build-cache" in wanted else None
        return usage | ({"BuilderSize": 0} if version < _HAS_TYPES else {})
