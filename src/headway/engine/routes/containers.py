"""Containers, as far as an image service has them, and images of them (moby-behaviour 6.17 to 6.19)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from headway import wire
from headway.container_records import ContainerRecord
from headway.engine.answers import document, leaving
from headway.engine.call import Call
from headway.engine.download import sent
from headway.engine.failures import AnsweredError
from headway.engine.queries import InvalidQueryError
from headway.engine.routing import Route
from headway.engine.shapes.containers import inspected, listed
from headway.errors import ConflictError, HeadwayError, UnsupportedError
from headway.oci.host_config import checked_host
from headway.oci.platform import Platform, is_satisfied_by
from headway.oci.run_config import Config, checked, container_config, require_runnable, spelled
from headway.service.containers.containers import Containers
from headway.service.containers.files import ContainerFiles
from headway.service.containers.listing import ContainerListing
from headway.service.containers.prune import ContainerPruner
from headway.service.creation.commit import CommitRequest
from headway.service.images_here import ImagesHere


class ContainerRoutes:
    """Answers what is asked of containers.

    Args:
        service: Knows images and layers.
        containers: Makes and removes containers.
        listing: Lists them.
        files: Reaches into them.
        pruner: Removes those that nobody is in.
        host: This machine's platform.
    """

    def __init__(
        self,
        service: ImagesHere,
        containers: Containers,
        listing: ContainerListing,
        files: ContainerFiles,
        pruner: ContainerPruner,
        host: Platform,
    ) -> None:
        self._service = service
        self._containers = containers
        self._listing = listing
        self._files = files
        self._pruner = pruner
        self._host = host

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [
            Route("GET", "/containers/json", self._list),
            Route("POST", "/containers/create", self._create),
            Route("POST", "/containers/prune", self._prune),
            Route("GET", "/containers/{id}/json", self._inspect),
            Route("POST", "/containers/{id}/rename", self._rename),
            Route("DELETE", "/containers/{id}", self._remove),
            Route("GET", "/containers/{id}/changes", self._changes),
            Route("GET", "/containers/{id}/export", self._export),
            Route("POST", "/commit", self._commit),
        ]

    async def _list(self, call: Call) -> web.StreamResponse:
        filters = call.filters()
        limit = call.number("limit")
        return document(await asyncio.to_thread(self._listed, filters, limit, call.flag("all"), call.flag("size")))

    def _listed(self, filters: dict[str, list[str]], limit: int, stopped: bool, size: bool) -> list[dict[str, object]]:  # noqa: FBT001  # for to_thread
        return [
            listed(
                container,
                image=self._listing.image_name(container),
                sizes=self._service.get_container_layer_size(container.container_id) if size else None,
            )
            for container in self._listing.containers(filters, stopped=stopped, limit=limit)
        ]

    async def _create(self, call: Call) -> web.StreamResponse:
        config = await call.document(dict[str, Any])
        if not config:
            raise InvalidQueryError("config cannot be empty in order to create a container")
        text = call.text("platform")
        platform = Platform.parse(text, self._host) if text else None
        container, warnings = await asyncio.to_thread(self._made, config, call.text("name"), platform)
        return document({"Id": container.container_id, "Warnings": warnings}, 201)

    def _made(self, config: dict[str, Any], name: str, platform: Platform | None) -> tuple[ContainerRecord, list[str]]:
        config = spelled(config, ("HostConfig", "NetworkingConfig"))
        host_config = checked_host(config.pop("HostConfig", None))
        config.pop("NetworkingConfig", None)
        own = checked(config)
        require_runnable(own)
        image = own.get("Image", "")
        runs: Config = {}
        warnings: list[str] = []
        if image:
            record = self._service.get_image(image, platform)
            details = self._service.lookup_image(str(record.image_id))
            runs = details.config or {}
            if platform is None and not is_satisfied_by(self._host, details.platform):
                warnings.append(
                    f"The requested image's platform ({details.platform}) does not match the detected host platform "
                    f"({self._host}) and no specific platform was requested"
                )
        config = container_config(own, runs)
        if not config.get("Cmd") and not config.get("Entrypoint"):
            raise InvalidQueryError("no command specified")
        try:
            container = self._containers.create(
                image, name=name, config=_text(config), host_config=_text(host_config), platform=str(platform or "")
            )
        except UnsupportedError as error:  # a storage option; Docker has no other status for what its driver refuses
            raise AnsweredError(500, str(error)) from error
        self._make_working_directory(container, config.get("WorkingDir") or "/")
        return container, warnings

    def _make_working_directory(self, container: ContainerRecord, path: str) -> None:
        """Make the directory that a container's process would begin in, as Docker does; what is copied may go there."""
        if path == "/":
            return
        try:
            self._files.make_directory(container.container_id, path)
        except HeadwayError:
            self._containers.remove(container.container_id)
            raise

    async def _inspect(self, call: Call) -> web.StreamResponse:
        return document(await asyncio.to_thread(self._inspected, call.places["id"], call.flag("size")))

    def _inspected(self, word: str, size: bool) -> dict[str, object]:  # noqa: FBT001  # for to_thread
        container = self._containers.get(word)
        sizes = self._service.get_container_layer_size(container.container_id) if size else None
        layer = self._containers.layer(container.container_id)
        driver = self._service.graph_driver_for_os()
        return inspected(container, driver=driver, driver_data=layer.metadata(), sizes=sizes)

    async def _rename(self, call: Call) -> web.StreamResponse:
        await call.take_form()
        if not call.text("name"):
            raise InvalidQueryError("Neither old nor new names may be empty")
        try:
            await asyncio.to_thread(self._containers.rename, call.places["id"], call.text("name"))
        except ConflictError as error:
            raise ConflictError(f"Error when allocating new name: {error}") from error
        return web.Response(status=204)

    async def _remove(self, call: Call) -> web.StreamResponse:
        if call.flag("link"):
            raise AnsweredError(500, "Conflict, cannot remove the default link name of the container")
        await asyncio.to_thread(self._containers.remove, call.places["id"])
        return web.Response(status=204)

    async def _changes(self, call: Call) -> web.StreamResponse:
        layer = await asyncio.to_thread(self._containers.layer, call.places["id"])
        changes = await asyncio.to_thread(layer.changes)
        return document([{"Path": wire.as_text(change.path), "Kind": int(change.kind)} for change in changes] or None)

    async def _export(self, call: Call) -> web.StreamResponse:
        return await sent(call, self._files.export(call.places["id"]), "application/octet-stream")

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

    async def _prune(self, call: Call) -> web.StreamResponse:
        await call.take_form()
        filters = call.filters()
        with leaving() as has_left:
            report = await asyncio.to_thread(self._pruner.prune, filters, stopped=has_left)
        return document({"ContainersDeleted": list(report.deleted) or None, "SpaceReclaimed": report.size})


def _text(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode()
