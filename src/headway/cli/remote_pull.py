"""`headway pull` where a daemon holds the store: the daemon pulls, this process shows it.

Rule: each image has a connection of its own, in a thread that ends with the process: leaving is closing it.
"""

from __future__ import annotations

import math
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import msgspec

from headway.cli.failures import DONE, INTERRUPTED
from headway.cli.plan import say_plans
from headway.cli.progress import View
from headway.cli.pulled import Outcome, say_all
from headway.cli.session import say
from headway.client.daemon import Daemon
from headway.client.pulls import DaemonPulls
from headway.composition.network import credential_source
from headway.distribution.credentials import Credentials
from headway.errors import HeadwayError, InvalidSettingError, OverBudgetError
from headway.interfaces.pulls import Wish
from headway.interfaces.traffic import Account
from headway.oci.reference import DOCKER_HUB, Reference
from headway.quantities import parse_duration, parse_priority, parse_size
from headway.service.pulling.planning import PullPlan
from headway.service.registries.remote_image import PullRequest
from headway.service.requests.plans import Planned, PlanRequest, Plans
from headway.service.transfers.progress import PullEvent
from headway.settings import Settings


class RemotePull:
    """One command's pulls through a daemon.

    Args:
        daemon: Which one.
        settings: Where this user's logins are.
        options: The command line.
        view: Shows what goes on.
        finding: What it has cost to find out which images are meant.
    """

    def __init__(self, daemon: Daemon, settings: Settings, options: Namespace, view: View, finding: Account) -> None:
        self._pulls = DaemonPulls(daemon)
        self._logins = credential_source(settings)
        self._options = options
        self._view = view
        self._finding = finding
        self._turn = threading.Lock()

    def run(self, requests: Sequence[PullRequest]) -> int:
        """Bring images and return the exit status; each that fails is explained, and the others go on."""
        if self._options.all_tags and (self._options.dry_run or self._options.detach):  # all of them at once
            requests = [each for request in requests for each in self._tags_of(request)]
        if self._options.dry_run:
            return self._plan(requests)
        if self._options.detach:
            return self._start(requests)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends a pull as Ctrl-C does
        try:
            ended = list(self._each_tag(requests) if self._options.all_tags else self._together(requests))
        except KeyboardInterrupt:
            self._view.close()
            print(f"headway: stopped; {self._view.kept()}", file=sys.stderr)
            return INTERRUPTED
        self._view.close()
        return say_all(ended, self._view, self._options)

    def _plan(self, requests: Sequence[PullRequest]) -> int:
        plans = self._planned(requests)
        self._view.close()
        return say_plans(plans, self._finding, self._options)

    def _planned(self, requests: Sequence[PullRequest]) -> Plans:
        logins = tuple(self._login(request.reference) for request in requests)
        return self._pulls.plan(PlanRequest(tuple(self._wish(request) for request in requests), logins))

    def _wishes(self, requests: Sequence[PullRequest]) -> list[Wish]:
        """Return what is wished for; a budget is parted among them by what each of them costs.

        Raises:
            OverBudgetError: It does not suffice.
            HeadwayError: What they cost cannot be told.
        """
        wishes = [self._wish(request) for request in requests]
        if self._options.max_bytes is None or not wishes:
            return wishes
        limit = parse_size(self._options.max_bytes)
        plans = self._planned(requests)
        made = [_made(planned) for planned in plans.planned]
        asked = self._finding.received_bytes + plans.asked["received_bytes"]
        least = sum(plan.least for plan in made)
        if asked + least > limit:
            raise OverBudgetError(limit, asked, least)
        spare, doubtful = limit - asked - least, sum(plan.doubtful for plan in made)
        return [
            msgspec.structs.replace(wish, max_bytes=plan.least + spare * plan.doubtful // doubtful, digest=plan.digest)
            for wish, plan in zip(wishes, made, strict=True)
        ]

    def _start(self, requests: Sequence[PullRequest]) -> int:
        if self._options.max_bytes is not None and len(requests) > 1:  # none of them waits for another to pay
            raise InvalidSettingError("--max-bytes with --detach is for one image: name them one by one")
        self._view.close()
        for request, wish in zip(requests, self._wishes(requests), strict=True):
            record = self._pulls.start(wish, self._login(request.reference))
            print(record.pull_id)
            if not self._options.quiet:
                say(f"{request.reference.familiar} goes on by itself; headway pulls shows it")
        return DONE

    def _together(self, requests: Sequence[PullRequest]) -> Iterator[Outcome]:
        try:
            wanted = list(zip(requests, self._wishes(requests), strict=True))
        except HeadwayError as error:
            yield requests[0], error
            return
        # With a budget in turns: a layer that several of them need is in the plan of the first, which is to pay for it.
        for at_once in [wanted] if self._options.max_bytes is None else [[each] for each in wanted]:
            yield from self._all_ended(at_once)

    def _all_ended(self, wanted: Sequence[tuple[PullRequest, Wish]]) -> Iterator[Outcome]:
        ended: SimpleQueue[Outcome] = SimpleQueue()
        for each in wanted:
            threading.Thread(target=lambda *each: ended.put(self._ended(*each)), args=each, daemon=True).start()
        outcomes = dict([ended.get() for _ in wanted])
        yield from ((request, outcomes[request]) for request, _ in wanted)

    def _each_tag(self, requests: Sequence[PullRequest]) -> Iterator[Outcome]:
        for request in requests:
            try:
                found = self._tags_of(request)
            except HeadwayError as error:
                yield request, error
                continue
            for each in found:
                yield from self._together([each])

    def _tags_of(self, request: PullRequest) -> list[PullRequest]:
        tags = self._pulls.tags(self._wish(request), self._login(request.reference))
        return [msgspec.structs.replace(request, reference=request.reference.with_tag(tag)) for tag in tags]

    def _ended(self, request: PullRequest, wish: Wish) -> Outcome:
        try:
            return request, self._pulls.pull(wish, self._report, self._login(request.reference))
        except HeadwayError as error:
            return request, error
        except Exception as error:  # the main thread waits for an outcome, and shows it
            return request, HeadwayError(f"this is a bug in Headway: {type(error).__name__}: {error}")

    def _report(self, event: PullEvent) -> None:
        with self._turn:
            self._view.report(event)

    def _wish(self, request: PullRequest) -> Wish:
        options = self._options
        mirrors = options.registry_mirror if request.reference.domain == DOCKER_HUB else None  # the flag's own meaning
        return Wish(
            reference=str(request.reference),
            platform=str(request.platform) if options.platform else "",
            mirrors=tuple(mirrors or ()),
            insecure=tuple(options.insecure_registry or ()),
            priority=parse_priority(options.priority),
            rate=parse_size(options.limit_rate) if options.limit_rate else 0,
            **_own_patience(options),
        )

    def _login(self, reference: Reference) -> Credentials | None:
        return self._logins(reference.repository)


def _made(planned: Planned) -> PullPlan:
    if planned.plan is None:
        assert planned.error is not None  # noqa: S101  # one of them is there
        raise planned.error
    return planned.plan


def _own_patience(options: Namespace) -> dict[str, Any]:
    """Return when a pull gives up, where the command line says so; attempts without patience decide alone."""
    attempts, text = options.max_download_attempts, options.download_patience
    patience = None if text is None else parse_duration(text)
    if options.wait or patience == math.inf:
        return {"patient": True, "attempts": attempts}
    return {"attempts": attempts, "patience": 0.0 if patience is None and attempts is not None else patience}
