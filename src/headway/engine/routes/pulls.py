"""``POST /images/create`` from a registry, and what else asks one (moby-behaviour 3, 6.15).

Rule 1: a client that leaves pauses its pull; every byte that arrived is kept, and who else waits for it goes on.
Rule 2: a login that is tried is kept nowhere, logged nowhere and repeated in no message; it is the client who saves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import registry_host
from headway.engine.answers import document
from headway.engine.call import Call
from headway.engine.failures import AnsweredError, ForbiddenError
from headway.engine.logins import AuthConfig, login_of
from headway.engine.messages import Emit, said
from headway.engine.pull_messages import (
    PullMessages,
    is_missing_platform,
    manifest_error,
    not_whole,
    platform_warning,
    pull_error,
    status_line,
)
from headway.engine.queries import InvalidQueryError
from headway.engine.routing import Route
from headway.engine.stream import streamed
from headway.errors import (
    HeadwayError,
    InvalidDigestError,
    InvalidReferenceError,
    PullStoppedError,
    RefusedError,
    RequestError,
)
from headway.interfaces.pulls import Wish
from headway.oci.digest import Digest
from headway.oci.image_config import ImageConfig
from headway.oci.manifest import Index, Manifest, parse_manifest
from headway.oci.media_types import is_image_config
from headway.oci.platform import Platform
from headway.oci.reference import Reference, parse_any
from headway.service.durable_pulls.pulls import Pulls
from headway.service.image_service import ImageService
from headway.service.registries.repository import Repository
from headway.service.transfers.progress import PullDone

_NOTHING = "scratch"
_RESERVED = "'scratch' is a reserved name"


class PullRoutes:
    """Answers what needs a registry.

    Args:
        service: Asks it.
        host: What an image is wanted for where nobody says.
        pulls: Brings images, and pauses what nobody waits for any more.
    """

    def __init__(self, service: ImageService, host: Platform, pulls: Pulls) -> None:
        self._service = service
        self._pulls = pulls
        self._host = host

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [
            Route("GET", "/distribution/{name}/json", self._distribution),
            Route("POST", "/auth", self._auth),
        ]

    async def create(self, call: Call) -> web.StreamResponse:
        """Answer ``POST /images/create`` with ``fromImage``."""
        if not call.text("fromImage"):
            raise RequestError("fromImage names no image")
        reference = wanted_reference(call.text("fromImage"), call.text("tag"))
        text = call.text("platform")
        platform = Platform.parse(text, self._host) if text else None
        login = login_of(call)

        async def work(emit: Emit) -> None:
            await self._pull(reference, platform, login, emit)

        return await streamed(call, work)

    async def _pull(
        self, reference: Reference, platform: Platform | None, login: Credentials | None, emit: Emit
    ) -> None:
        updated = False
        failed: list[str] = []
        try:
            references = await self._references(reference, login)
        except HeadwayError as error:
            raise pull_error(error, reference) from error
        for each in references:
            try:
                done = await self._pull_one(each, platform, login, emit)
            except HeadwayError as error:
                if len(references) == 1 or _is_last(error):
                    raise pull_error(error, each) from error
                emit(said(str(pull_error(error, each)), each.tag or ""), "")
                failed.append(each.tag or "")
                continue
            updated = updated or done.updated
            if platform is not None and (warning := platform_warning(platform, done)):
                emit(warning, "")
        if failed:
            raise AnsweredError(500, not_whole(reference, len(references), failed))
        emit(status_line(reference.familiar, updated=updated), "")

    async def _pull_one(
        self, reference: Reference, platform: Platform | None, login: Credentials | None, emit: Emit
    ) -> PullDone:
        watch = PullMessages(reference, emit)
        try:
            wish = Wish(reference=str(reference), platform=str(platform or self._host))
            return await self._pulls.pull(wish, watch, login)
        except HeadwayError as error:
            if is_missing_platform(error):
                watch.begin()  # the name is there: docker says so, and fails in the stream (3.4)
            raise

    async def _references(self, reference: Reference, login: Credentials | None) -> Sequence[Reference]:
        """Return what is to be pulled: without a tag and a digest, every tag of the repository."""
        if reference.tag or reference.digest:
            return [reference]
        return [reference.with_tag(tag) for tag in await self._service.get_repository(reference, login).tags()]

    async def _distribution(self, call: Call) -> web.StreamResponse:
        wanted = parse_any(call.places["name"])
        if isinstance(wanted, Digest):
            raise InvalidReferenceError(f"unknown image reference format: {call.places['name']}")
        if wanted.familiar_name == _NOTHING:
            raise InvalidReferenceError(_RESERVED)  # 400, and 403 for a pull, as Docker
        reference = wanted.with_default_tag()
        repository = self._service.get_repository(reference, login_of(call))
        try:
            descriptor = await repository.resolve(reference)
            raw = await repository.manifest(descriptor.digest)
        except HeadwayError as error:
            raise manifest_error(error, reference) from error
        shape = {"mediaType": raw.media_type or descriptor.media_type, "digest": str(raw.digest), "size": len(raw.data)}
        found = await asyncio.to_thread(parse_manifest, raw.data, raw.media_type)
        return document({"Descriptor": shape, "Platforms": await _platforms(found, repository)})

    async def _auth(self, call: Call) -> web.StreamResponse:
        try:
            config = AuthConfig.of(await call.document_if_any(dict[str, Any], typed=False))
        except msgspec.ValidationError as error:
            raise InvalidQueryError(f"invalid JSON: {error}") from None
        host = registry_host(config.serveraddress)
        try:
            accepted = await self._service.authenticate(host, config.credentials())
        except RefusedError as error:
            raise AnsweredError(401, f'Get "https://{error.endpoint}/v2/": {error.reason}') from error
        return document({"IdentityToken": accepted.identity_token, "Status": "Login Succeeded"})


def _is_last(error: HeadwayError) -> bool:
    """Tell whether no pull begins after this error: the daemon stops, and a new pull would be left to the next one."""
    return isinstance(error, PullStoppedError) and error.retryable


async def _platforms(found: Manifest | Index, repository: Repository) -> list[dict[str, object]] | None:
    """Return what an index offers, or what a manifest's config says; None where that cannot be had, as in Docker."""
    if isinstance(found, Index):
        return [platform_document(entry.platform) for entry in found.manifests if entry.platform is not None]
    if not is_image_config(found.config.media_type):
        return None
    try:
        config = ImageConfig.parse(await repository.config(found.config))
    except HeadwayError:
        return None
    return [platform_document(config.platform)] if config.os or config.architecture else None


def platform_document(platform: Platform) -> dict[str, object]:
    """Return a platform as image-spec writes it."""
    shape = {
        "os.version": platform.os_version,
        "os.features": list(platform.os_features),
        "variant": platform.variant,
    }
    said = {key: value for key, value in shape.items() if value}
    return {"architecture": platform.architecture, "os": platform.os, **said}


def wanted_reference(image: str, tag: str) -> Reference:
    """Return what ``fromImage`` and ``tag`` name together; without tag and digest, a whole repository.

    A digest counts, whatever tag stands beside it.

    Raises:
        ForbiddenError: ``scratch``, which names nothing.
        InvalidReferenceError: They name nothing.
    """
    reference = Reference.parse(image.removesuffix(":"))
    if reference.familiar_name == _NOTHING:
        raise ForbiddenError(_RESERVED)
    if not tag:
        return reference
    try:
        digest = Digest.parse(tag)
    except InvalidDigestError:
        return reference.with_tag(tag)
    return reference.name_only().with_digest(digest)
