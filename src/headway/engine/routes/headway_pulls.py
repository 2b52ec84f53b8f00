"""Durable pulls over HTTP: ``/headway/pulls`` (docs/adr/0018-durable-pulls.md).

Rule: who watches a pull and leaves has left it, by whatever route it was asked for.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from headway.distribution.credentials import Credentials
from headway.distribution.recent import Recent
from headway.distribution.transfer_limits import DEFAULT_ATTEMPTS, TransferLimits
from headway.engine.answers import document
from headway.engine.call import Call
from headway.engine.logins import login_of
from headway.engine.routes.headway import answering, request_value, stream_progress
from headway.engine.routing import Route
from headway.errors import HeadwayError, PullIncompleteError
from headway.interfaces.pulls import Wish
from headway.oci.digest import Digest
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.service.durable_pulls.pulls import Pulls
from headway.service.image_service import ImageService
from headway.service.registries.remote_image import PullRequest
from headway.service.requests.plans import PlanRequest, plan_each
from headway.service.requests.requests import PriorityRequest
from headway.service.transfers.progress import LayerProgress, PullEvent, Waiting


class HeadwayPullRoutes:
    """Answers what is asked of pulls.

    Args:
        service: Asks registries for tags.
        pulls: All of them.
        host: What an image is wanted for where nobody says.
    """

    def __init__(self, service: ImageService, pulls: Pulls, host: Platform) -> None:
        self._service = service
        self._pulls = pulls
        self._host = host
        self._found: Recent[tuple[object, ...], Digest] = Recent()  # by plans, until they are followed

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [
            Route("POST", "/headway/tags", answering(self._tags)),
            Route("POST", "/headway/plans", answering(self._plan)),
            Route("GET", "/headway/pulls", answering(self._list)),
            Route("POST", "/headway/pulls", self._pull),
            Route("GET", "/headway/pulls/{id}/events", self._watch),
            Route("GET", "/headway/pulls/{id}", answering(self._show)),
            Route("POST", "/headway/pulls/{id}/pause", answering(self._pause)),
            Route("POST", "/headway/pulls/{id}/resume", answering(self._resume)),
            Route("POST", "/headway/pulls/{id}/cancel", answering(self._cancel)),
            Route("POST", "/headway/pulls/{id}/priority", answering(self._set_priority)),
        ]

    async def _tags(self, call: Call) -> object:
        wish = await request_value(call, Wish)
        reference = Reference.parse(wish.reference)
        repository = self._service.get_repository(reference, login_of(call), wish.mirrors, wish.insecure)
        try:
            return await repository.tags()
        except HeadwayError as error:
            raise PullIncompleteError(reference.familiar, error) from error

    async def _plan(self, call: Call) -> object:
        wanted = await request_value(call, PlanRequest)
        planner = self._service.distribution_services().download_manager.planner()
        asking = list(zip(map(self._spelled_out, wanted.wishes), wanted.logins, strict=True))
        plans = await plan_each(planner, [self._request(wish, login) for wish, login in asking], lambda _: None)
        for (wish, login), planned in zip(asking, plans.planned, strict=True):
            if planned.plan is not None:
                self._found[_question(wish, login)] = planned.plan.digest
        return plans

    def _request(self, wish: Wish, login: Credentials | None) -> PullRequest:
        reference, platform = Reference.parse(wish.reference), Platform.parse(wish.platform)
        return self._service.pull_request(reference, platform, login, wish.mirrors, wish.insecure)

    async def _list(self, call: Call) -> object:
        records = await self._pulls.list()
        return records if call.flag("all") else [each for each in records if not each.state.has_ended]

    async def _show(self, call: Call) -> object:
        return await self._pulls.get(call.places["id"])

    async def _pause(self, call: Call) -> object:
        return await self._pulls.pause(call.places["id"])

    async def _resume(self, call: Call) -> object:
        return await self._pulls.resume(call.places["id"], login_of(call))

    async def _cancel(self, call: Call) -> object:
        return await self._pulls.cancel(call.places["id"])

    async def _set_priority(self, call: Call) -> object:
        wanted = await request_value(call, PriorityRequest)
        return await self._pulls.set_priority(call.places["id"], wanted.priority)

    async def _pull(self, call: Call) -> web.StreamResponse:
        """Start a detached pull and answer with its record; stream everything of any other."""
        wish = self._spelled_out(await request_value(call, Wish))
        login = login_of(call)
        if wish.digest != self._found.pop(_question(wish, login), None):
            wish = msgspec.structs.replace(wish, digest=None)  # nobody says for a registry what it has
        if wish.detached:
            return document(await self._pulls.start(wish, login), 201)
        return await stream_progress(call, lambda report: self._pulls.pull(wish, report, login), _replaced)

    async def _watch(self, call: Call) -> web.StreamResponse:
        pull_id = call.places["id"]
        return await stream_progress(call, lambda report: self._pulls.watch(pull_id, report), _replaced)

    def _spelled_out(self, wish: Wish) -> Wish:
        platform = Platform.parse(wish.platform, self._host) if wish.platform else self._host
        reference = Reference.parse(wish.reference).with_default_tag()
        TransferLimits(
            max_download_attempts=DEFAULT_ATTEMPTS if wish.attempts is None else wish.attempts,
            download_patience=wish.patience or 0.0,
            max_download_rate=wish.rate,
        ).checked()
        return msgspec.structs.replace(wish, reference=str(reference), platform=str(platform))


def _question(wish: Wish, login: Credentials | None) -> tuple[object, ...]:
    """Return what is asked for a wish, of whom, and by whom; no login is kept for that."""
    return wish.reference, wish.platform, wish.mirrors, wish.insecure, hash(login)


def _replaced(event: PullEvent) -> str:
    """Return the key of an event, which replaces an unread one with the same key; empty for one to be delivered."""
    match event:
        case LayerProgress():
            return f"{event.digest} {event.phase}"
        case Waiting():
            return "waiting"
        case _:
            return ""
