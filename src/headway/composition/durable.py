"""Durable pulls over the image service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from headway.composition.network import credential_source
from headway.distribution.credentials import Credentials
from headway.errors import InvalidSettingError
from headway.interfaces.pulls import PullStore, Wish
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.service.image_service import ImageService
from headway.service.progress import PullDone, Report
from headway.service.pulls import Pulls
from headway.settings import Settings


@asynccontextmanager
async def durable_pulls(
    service: ImageService, store: PullStore, settings: Settings, *, may_detach: Callable[[], bool] = lambda: False
) -> AsyncIterator[Pulls]:
    """Give the pulls of this process, those of the one before included; at the block's end they stop.

    Args:
        service: Brings images.
        store: Where pulls are recorded.
        settings: Say where this process's own logins are.
        may_detach: As for `Pulls`.
    """
    logins = credential_source(settings)

    def has_login(text: str) -> bool:
        reference = Reference.parse(text)
        try:
            return logins(f"{reference.domain}/{reference.path}") is not None
        except InvalidSettingError:  # it will be said when it is needed
            return False

    async def bring(wish: Wish, login: Credentials | None, report: Report) -> PullDone:
        return await service.pull_image(
            Reference.parse(wish.reference),
            report,
            platform=Platform.parse(wish.platform),
            login=login,
            mirrors=wish.mirrors,
            insecure=wish.insecure,
        )

    async with asyncio.TaskGroup() as group:
        pulls = Pulls(store, bring, group=group, may_detach=may_detach, has_login=has_login)
        await pulls.take_up()
        try:
            yield pulls
        finally:
            await pulls.stop()
