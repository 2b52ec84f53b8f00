"""`headway pull` where a daemon holds the store: the daemon pulls, this process shows it.

Rule: each image has a connection of its own, in a thread that ends with the process: leaving is closing it.
"""

from __future__ import annotations

import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

import msgspec

from headway import wire
from headway.cli.failures import DONE, INTERRUPTED
from headway.cli.plan import say_plans
from headway.cli.progress import View
from headway.cli.pulled import Outcome, say_all
from headway.cli.session import say
from headway.client.daemon import Daemon
from headway.client.pulls import DaemonPulls
from headway.composition.network import credential_source
from headway.distribution.credentials import Credentials
from headway.errors import HeadwayError, InvalidSettingError
from headway.interfaces.pulls import PRIORITIES, Wish
from headway.oci.reference import Reference
from headway.service.plan_requests import PlanRequest
from headway.service.progress import PullEvent
from headway.service.remote_image import PullRequest
from headway.settings import Settings

_DAEMONS_OWN = (
    "max_download_attempts",
    "download_patience",
    "limit_rate",
    "unfinished_max_age",
    "unfinished_max_size",
    "max_bytes",
)


def refuse_daemons_own(options: Namespace) -> None:
    """Refuse flags that a daemon does not take with a request.

    Raises:
        InvalidSettingError: One is set.
    """
    for name in _DAEMONS_OWN:
        if getattr(options, name):
            flag = name.replace("_", "-")
            raise InvalidSettingError(f"--{flag} works without a daemon only; a daemon keeps to its own daemon.json")


class RemotePull:
    """One command's pulls through a daemon.

    Args:
        daemon: Which one.
        settings: Where this user's logins are.
        options: The command line.
        view: Shows what goes on.
    """

    def __init__(self, daemon: Daemon, settings: Settings, options: Namespace, view: View) -> None:
        self._pulls = DaemonPulls(daemon)
        self._settings = settings
        self._logins = credential_source(settings)
        self._options = options
        self._view = view
        self._turn = threading.Lock()

    def run(self, requests: Sequence[PullRequest]) -> int:
        """Bring images and return the exit status; each that fails is explained, and the others go on."""
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
        return say_all(ended, self._view, debug=self._settings.debug, quiet=self._options.quiet)

    def _plan(self, requests: Sequence[PullRequest]) -> int:
        wishes = tuple(self._wish(request) for request in requests)
        plans = self._pulls.plan(PlanRequest(wishes, tuple(self._login(request.reference) for request in requests)))
        self._view.close()
        errors = [wire.heard(each.error) for each in plans.planned if each.error is not None]
        made = [each.plan for each in plans.planned if each.plan is not None]
        return say_plans(made, errors, plans.asked, how=self._options.format)

    def _start(self, requests: Sequence[PullRequest]) -> int:
        self._view.close()
        for request in requests:
            record = self._pulls.start(self._wish(request), self._login(request.reference))
            print(record.pull_id)
            if not self._options.quiet:
                say(f"{request.reference.familiar} goes on by itself; headway pulls shows it")
        return DONE

    def _together(self, requests: Sequence[PullRequest]) -> Iterator[Outcome]:
        ended: SimpleQueue[Outcome] = SimpleQueue()
        for request in requests:
            threading.Thread(target=lambda each=request: ended.put(self._ended(each)), daemon=True).start()
        outcomes = dict([ended.get() for _ in requests])
        yield from ((request, outcomes[request]) for request in requests)

    def _each_tag(self, requests: Sequence[PullRequest]) -> Iterator[Outcome]:
        for request in requests:
            try:
                references = self._pulls.tags(request.reference, self._login(request.reference))
            except HeadwayError as error:
                yield request, error
                continue
            for reference in references:
                yield from self._together([msgspec.structs.replace(request, reference=reference)])

    def _ended(self, request: PullRequest) -> Outcome:
        try:
            return request, self._pulls.pull(self._wish(request), self._report, self._login(request.reference))
        except HeadwayError as error:
            return request, error
        except Exception as error:  # the main thread waits for an outcome, and shows it
            return request, HeadwayError(f"a mistake of Headway's own: {type(error).__name__}: {error}")

    def _report(self, event: PullEvent) -> None:
        with self._turn:
            self._view.report(event)

    def _wish(self, request: PullRequest) -> Wish:
        options = self._options
        return Wish(
            reference=str(request.reference),
            platform=str(request.platform) if options.platform else "",
            mirrors=tuple(options.registry_mirror or ()),
            insecure=tuple(options.insecure_registry or ()),
            patient=options.wait,
            priority=priority_of(options.priority),
        )

    def _login(self, reference: Reference) -> Credentials | None:
        return self._logins(f"{reference.domain}/{reference.path}")


def priority_of(text: str) -> int:
    """Return the priority that a word or a number names.

    Raises:
        InvalidSettingError: It is neither.
    """
    if text in PRIORITIES:
        return PRIORITIES[text]
    digits = text.removeprefix("-")
    if digits.isdecimal() and len(digits) <= 6:
        return int(text)
    raise InvalidSettingError(f"invalid priority {text!r}: write low, normal, high or a number")
