"""Small requests to registries, tried again as policy says: what a tag stands for, a manifest, a list of tags.

Rule 1: a registry that nobody ever reached is asked for ten seconds, one that is known as long as patience lasts.
Rule 2: mirrors are asked first; the registry itself knows best whether there is such an image. Where it does not
        answer, what the mirrors said is told, too: it is what has to be mended where only they can be reached.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from headway.distribution.backoff import FirstContact, GiveUp, Retries, Wait, is_outage
from headway.distribution.endpoints import Endpoint
from headway.distribution.quota import Quota
from headway.errors import (
    Fault,
    HeadwayError,
    NotFoundError,
    RegistryError,
    StoreError,
    UnavailableError,
    UnreachableError,
)
from headway.interfaces.images import HostMemory
from headway.interfaces.traffic import on_errand
from headway.service.concurrency.executors import Thread
from headway.service.transfers.progress import Waiting
from headway.service.transfers.tools import Tools

T = TypeVar("T")
OWN_WORDS_SECONDS = 0.5
"""What a first attempt has beyond its time: one that ends by its own clock knows whose silence it was."""


class Asker:
    """Puts the questions of one pull.

    Args:
        tools: What to work with.
        hosts: Which registries have answered before.
        endpoints: Where to ask, first choice first.
        name: What the pull is about, for those who watch it.
        report: Told while it waits.

    Attributes:
        endpoints: Where to ask; mirrors that have failed stand last.
        retries: Failures by cause; an answer such as "not found", which is no failure, is not among them.
    """

    def __init__(
        self,
        tools: Tools,
        hosts: HostMemory,
        endpoints: Sequence[Endpoint],
        *,
        name: str,
        report: Callable[[Waiting], None],
    ) -> None:
        self._tools = tools
        self._hosts = hosts
        self._name = name
        self._report = report
        healthy = tools.standing.health.ordered
        self.endpoints = healthy(endpoints, "manifest", host_of=lambda endpoint: endpoint.host, now=tools.clock())
        self._said: dict[str, HeadwayError] = {}  # by endpoint, why it did not answer the last time
        self.retries: Counter[str] = Counter()

    async def ask(self, question: Callable[[Endpoint], T]) -> T:
        """Return the first answer of an endpoint, waiting for one as long as the rules allow.

        Raises:
            HeadwayError: Nobody answered.
        """
        now = self._tools.clock
        retries = Retries(self._tools.policy(), now=now(), jitter=self._tools.jitter)
        known = await self._known()
        first = None if known else FirstContact(now=now())
        may_be_typo = True
        while True:
            failures: list[HeadwayError] = []  # of those who were asked, one after the other, without an answer
            answer = await self._ask_each(question, first, failures)
            if not isinstance(answer, HeadwayError):
                return answer
            if answer.retryable:
                self.retries[answer.brief] += 1
                self._tools.retried(answer.brief)
            if is_outage(answer):
                first, may_be_typo = None, False
            elif first is None and may_be_typo and not self._is_lost(known):
                first = FirstContact(now=now())
            if first is not None:
                reached = any(endpoint.host in self._tools.standing.reached for endpoint in self.endpoints)
                decision = first.failed(answer, now=now(), reached=reached and _is_slow(answer))
            else:
                decision = retries.failed(answer, now=now())
            decision = retries.unless_too_long(decision, now=now())
            if isinstance(decision, GiveUp):
                raise decision.error
            await self._wait(decision, failures)

    async def _known(self) -> list[str]:
        """Return those of the endpoints that have ever answered: then silence is an outage, not a typo."""
        has_answered, database = self._hosts.has_answered, self._tools.executors.database
        return [each.host for each in self.endpoints if await database(has_answered, each.host)]

    def _is_lost(self, known: Sequence[str]) -> bool:
        """Tell whether somebody who has answered before cannot now: mirrors that lack an image have answered."""
        return any(self._said[host].retryable for host in known if host in self._said)

    async def _ask_each(
        self, question: Callable[[Endpoint], T], first: FirstContact | None, failures: list[HeadwayError]
    ) -> T | HeadwayError:
        """Return the first answer, or the last endpoint's error (moby-behaviour 3.1); `failures` takes each one's."""
        error: HeadwayError = NotFoundError("endpoint", self._name)
        mirrors: list[str] = []
        for endpoint in tuple(self.endpoints):
            began = self._tools.clock()
            try:
                answer = await self._ask_one(endpoint, question, first)
            except StoreError:
                raise
            except HeadwayError as caught:
                self._said[endpoint.host] = caught
                failures.append(caught)
                if endpoint.mirror:
                    self._put_last(endpoint)
                    said = caught.reason if isinstance(caught, RegistryError) else caught
                    mirrors.append(f"its mirror {endpoint.host}: {said}")
                    if first is not None:
                        first.excuse(self._tools.clock() - began)
                else:
                    error = caught
                continue
            await self._tools.executors.database(self._remember, endpoint.host)
            return answer
        for note in mirrors if isinstance(error, UnreachableError | UnavailableError) else ():
            error.add_note(note)
        return error

    async def _ask_one(self, endpoint: Endpoint, question: Callable[[Endpoint], T], first: FirstContact | None) -> T:
        """Return an answer; a thread that is still waiting for one when there is no time left is left behind."""
        with on_errand(registry=endpoint.host):
            asking = Thread(partial(question, endpoint), abort=lambda: None, name="ask")
        if first is not None:
            left = first.seconds_left(now=self._tools.clock()) + OWN_WORDS_SECONDS
            await asyncio.wait({asking.done}, timeout=left)
            if not asking.done.done() and endpoint.host in self._tools.standing.reached and not endpoint.mirror:
                left = first.seconds_left_where_reached(now=self._tools.clock())
                await asyncio.wait({asking.done}, timeout=left)
            if not asking.done.done():
                # Before, it may have been found out that it is somebody else who does not answer: the token server.
                said = self._said.get(endpoint.host)
                if isinstance(said, RegistryError) and said.endpoint != endpoint.host:
                    raise said
                raise UnreachableError(endpoint.host, Fault.TIMEOUT)
        return await asyncio.shield(asking.done)

    def quotas(self) -> dict[str, Quota]:
        """Return what those who were asked let us ask, by host."""
        known = self._tools.standing.quotas
        return {endpoint.host: known[endpoint.host] for endpoint in self.endpoints if endpoint.host in known}

    def _remember(self, host: str) -> None:
        self._hosts.answered(host)
        self._hosts.found(self._tools.standing.addresses.take_new())

    def _put_last(self, mirror: Endpoint) -> None:
        """Ask a mirror that has failed once after everybody else, for the rest of this pull."""
        self.endpoints.remove(mirror)
        self.endpoints.append(mirror)

    async def _wait(self, decision: Wait, failures: Sequence[HeadwayError]) -> None:
        due = self._tools.clock() + decision.seconds
        while (left := due - self._tools.clock()) > 0:
            said = "; ".join((str(decision.cause), *getattr(decision.cause, "__notes__", ())))
            self._report(Waiting(self._name, said, left))
            if await self._tools.pause(min(1.0, left), failures) is not None:
                return


def _is_slow(error: HeadwayError) -> bool:
    """Tell whether somebody may be there who was not given enough time."""
    return isinstance(error, UnreachableError) and error.fault in (Fault.TLS, Fault.TIMEOUT)
