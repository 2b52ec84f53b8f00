"""``POST /auth``: whether a login is good (moby-behaviour 3.8, "Login").

Rule: the answer is all there is. What was shown is kept nowhere, logged nowhere and repeated in no message; it is the
client who saves it.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from headway.distribution.endpoints import registry_host
from headway.engine.answers import document
from headway.engine.call import Call
from headway.engine.failures import AnsweredError
from headway.engine.logins import AuthConfig
from headway.engine.routing import Route
from headway.errors import RefusedError
from headway.service.image_service import ImageService


class AuthRoutes:
    """Shows logins to registries.

    Args:
        service: Asks them.
    """

    def __init__(self, service: ImageService) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [Route("POST", "/auth", self._auth)]

    async def _auth(self, call: Call) -> web.StreamResponse:
        config = AuthConfig.of(await call.document_if_any(dict[str, Any]))
        host = registry_host(config.serveraddress)
        try:
            accepted = await self._service.authenticate(host, config.credentials())
        except RefusedError as error:
            raise AnsweredError(401, f'Get "https://{error.endpoint}/v2/": {error.reason}') from error
        return document({"IdentityToken": accepted.identity_token, "Status": "Login Succeeded"})
