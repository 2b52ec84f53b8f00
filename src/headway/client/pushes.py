"""A daemon's pushes, as Headway's own command asks for them."""

from __future__ import annotations

from headway import wire
from headway.client.daemon import Daemon
from headway.distribution.credentials import Credentials
from headway.service.push_progress import PushDone, PushReport
from headway.service.push_requests import PushLine, PushWish


def push_through(daemon: Daemon, wish: PushWish, report: PushReport, login: Credentials | None) -> list[PushDone]:
    """Let a daemon push, and return what it has pushed; who ends meanwhile ends the push.

    Raises:
        HeadwayError: As `ImagePusher.push`.
        NoDaemonError: The daemon does not answer.
    """
    done = []
    for line in daemon.lines("POST", "push", wish, login):
        event = wire.decode(line, PushLine).heard()
        if event is not None:
            report(event)
        if isinstance(event, PushDone):
            done.append(event)
    return done
