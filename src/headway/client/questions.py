"""Requests to Headway's daemon that take long, or are not about one image."""

from __future__ import annotations

from collections.abc import Sequence

from headway.client.daemon import Daemon
from headway.interfaces.traffic import TrafficRow
from headway.service.health.damage import Checked
from headway.service.registries.outdated import TagFreshness
from headway.service.requests.registries import OutdatedRequest


def outdated(daemon: Daemon, request: OutdatedRequest) -> list[TagFreshness]:
    """See `service.registries.outdated.Outdated.check`."""
    return daemon.ask("POST", "outdated", list[TagFreshness], request)


def check(daemon: Daemon, *, full: bool) -> Checked:
    """See `service.health.check.Checker.check`."""
    return daemon.ask("GET", "check", Checked, full=full)


def traffic(daemon: Daemon, since: str, until: str) -> Sequence[TrafficRow]:
    """See `interfaces.traffic.TrafficStore.days`."""
    return daemon.ask("GET", "traffic", list[TrafficRow], since=since, until=until)
