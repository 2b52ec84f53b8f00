"""Questions that take long, or are not about one image: ``/headway/outdated``, ``check``, ``traffic``.

Rule: nothing of the store is changed here.
"""

from __future__ import annotations

import asyncio

from headway.composition.asking import ATTEMPTS
from headway.composition.checking import checking
from headway.composition.reading import traffic_of
from headway.engine.call import Call
from headway.engine.routes.headway import answering, asked
from headway.engine.routing import Route
from headway.oci.reference import Reference
from headway.service.damage import Checked
from headway.service.image_service import ImageService
from headway.service.outdated import Outdated
from headway.service.own_limits import OwnLimits, keeping_to
from headway.service.registry_requests import OutdatedRequest
from headway.service.repository import Repository
from headway.service.stores import Stores
from headway.settings import Settings


class HeadwayQuestionRoutes:
    """Answers them.

    Args:
        service: Asks registries.
        stores: What is here.
        settings: Say where the data root is.
    """

    def __init__(self, service: ImageService, stores: Stores, settings: Settings) -> None:
        self._service = service
        self._stores = stores
        self._settings = settings

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [
            Route("POST", "/headway/outdated", answering(self._outdated)),
            Route("GET", "/headway/check", answering(self._check)),
            Route("GET", "/headway/traffic", answering(self._traffic)),
        ]

    async def _outdated(self, call: Call) -> object:
        wanted = await asked(call, OutdatedRequest)
        references = [Reference.parse(name).with_default_tag() for name in wanted.names]

        def repository(reference: Reference) -> Repository:
            login = wanted.logins.get(reference.repository)
            return self._service.get_repository(reference, login, insecure=wanted.insecure)

        with keeping_to(OwnLimits(attempts=ATTEMPTS, patience=0.0)):
            return await Outdated(self._stores, repository).check(references)

    async def _check(self, call: Call) -> object:
        is_full = call.flag("full")

        def check() -> Checked:
            with checking(self._settings) as checker:
                return checker.check(full=is_full, tell=lambda _done, _of: None)

        return await asyncio.to_thread(check)

    async def _traffic(self, call: Call) -> object:
        return await asyncio.to_thread(traffic_of, self._settings, call.text("since"), call.text("until"))
