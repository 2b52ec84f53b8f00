"""A daemon's pushes, as Headway's own command asks for them."""

from __future__ import annotations

from typing import get_args

from headway.client.daemon import Daemon
from headway.distribution.credentials import Credentials
from headway.service.push_progress import PushDone, PushEvent, PushReport
from headway.service.registry_requests import PushWish


def push_through(daemon: Daemon, wish: PushWish, report: PushReport, login: Credentials | None) -> list[PushDone]:
    """Let a daemon push, and return what it has pushed; who ends meanwhile ends the push.

    Raises:
        HeadwayError: As `ImagePusher.push`.
        NoDaemonError: The daemon does not answer.
    """
    done = []
    for event in daemon.told("push", wish, login, get_args(PushEvent)):
        report(event)
        if isinstance(event, PushDone):
            done.append(event)
    return done
