"""What SIGHUP changes, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headway.daemon.configuration import Configuration, DaemonSettings
from headway.daemon.reload import Reloader
from headway.errors import InvalidSettingError, StoreFullError
from headway.settings import Settings


class Service:
    """Keeps to what it is told, unless it refuses."""

    daemon_id = "ABCD"

    def __init__(self, refusal: Exception | None = None) -> None:
        self.limits: dict[str, Any] = {}
        self._refusal = refusal

    def update_config(self, **limits: object) -> None:
        if self._refusal is not None:
            raise self._refusal
        self.limits = limits


class Events:
    """Remembers what was told, unless the disk is full."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.told: list[tuple[str, str, str]] = []
        self._refusal = refusal

    def tell(self, kind: str, action: str, actor: str, attributes: object) -> None:
        if self._refusal is not None:
            raise self._refusal
        self.told.append((kind, action, actor))


def configuration(root: str = "/var/lib/headway", *, downloads: int = 3, group: str = "") -> Configuration:
    settings = Settings(data_root=Path(root), max_concurrent_downloads=downloads)
    return Configuration(settings=settings, daemon=DaemonSettings(group=group), path=Path("/etc/headway/daemon.json"))


def reloaded(service: Service, events: Events, new: Configuration) -> Configuration:
    return Reloader(service, events, "ship").reload(configuration(), new)  # type: ignore[arg-type]  # what it needs


def test_a_reload_changes_limits_and_not_what_needs_a_restart() -> None:
    service, events = Service(), Events()

    after = reloaded(service, events, configuration("/elsewhere", downloads=7, group="docker"))

    assert service.limits["max_concurrent_downloads"] == 7
    assert after == configuration(downloads=7)
    assert events.told == [("daemon", "reload", "ABCD")]


def test_limits_that_cannot_be_change_nothing_and_nobody_is_told() -> None:
    events = Events()

    with pytest.raises(InvalidSettingError):
        reloaded(Service(InvalidSettingError("no")), events, configuration(downloads=7))

    assert events.told == []


def test_a_reload_that_a_full_disk_cannot_record_is_in_force_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    after = reloaded(Service(), Events(StoreFullError("/var")), configuration(downloads=7))

    assert after == configuration(downloads=7)
    assert "in force, but not among the events" in caplog.text
