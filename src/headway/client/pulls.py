"""A client of the durable pulls of Headway's daemon."""

from __future__ import annotations

from typing import get_args

import msgspec

from headway.client.daemon import Daemon
from headway.distribution.credentials import Credentials
from headway.errors import NoDaemonError
from headway.interfaces.pulls import PullRecord, Wish
from headway.service.requests.plans import PlanRequest, Plans
from headway.service.requests.requests import PriorityRequest
from headway.service.transfers.progress import PullDone, PullEvent, Report


class DaemonPulls:
    """What `service.durable_pulls.pulls.Pulls` does, in a daemon.

    Args:
        daemon: Which one.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def pull(self, wish: Wish, report: Report, login: Credentials | None) -> PullDone:
        """Bring an image; who ends meanwhile has left, and the pull is paused.

        Raises:
            HeadwayError: As `Pulls.pull`.
            NoDaemonError: The daemon ended in the middle; the bytes are kept.
        """
        for event in self._daemon.progress("pulls", wish, login, get_args(PullEvent)):
            report(event)
            if isinstance(event, PullDone):
                return event
        raise NoDaemonError(str(self._daemon.address), "it ended in the middle of the pull; the bytes are kept")

    def start(self, wish: Wish, login: Credentials | None) -> PullRecord:
        """See `Pulls.start`."""
        return self._daemon.ask("POST", "pulls", PullRecord, msgspec.structs.replace(wish, detached=True), login)

    def plan(self, request: PlanRequest) -> Plans:
        """Return what pulls would cost."""
        return self._daemon.ask("POST", "plans", Plans, request)

    def tags(self, wish: Wish, login: Credentials | None) -> list[str]:
        """Return every tag that the registry has of the repository that is wished for."""
        return self._daemon.ask("POST", "tags", list[str], wish, login)

    def list(self, *, ended: bool) -> list[PullRecord]:
        """Return pulls, the newest first; `ended` ones too where that is asked for."""
        return self._daemon.ask("GET", "pulls", list[PullRecord], all=ended)

    def get(self, prefix: str) -> PullRecord:
        """See `Pulls.get`."""
        return self._daemon.ask("GET", f"pulls/{_safe(prefix)}", PullRecord)

    def change(self, prefix: str, how: str, login: Credentials | None = None) -> PullRecord:
        """``pause``, ``resume`` or ``cancel`` a pull; see `Pulls`."""
        return self._daemon.ask("POST", f"pulls/{_safe(prefix)}/{how}", PullRecord, login=login)

    def set_priority(self, prefix: str, priority: int) -> PullRecord:
        """See `Pulls.set_priority`."""
        return self._daemon.ask("POST", f"pulls/{_safe(prefix)}/priority", PullRecord, PriorityRequest(priority))


def _safe(prefix: str) -> str:
    """Return what a person typed as one part of a path."""
    return "".join(character if character.isalnum() else "_" for character in prefix if character.isascii()) or "_"
