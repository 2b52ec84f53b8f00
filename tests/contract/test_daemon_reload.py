"""What SIGHUP changes, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
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
        self.attributes: dict[str, str] = {}
        self._refusal = refusal

    def tell(self, kind: str, action: str, actor: str, attributes: dict[str, str]) -> None:
        if self._refusal is not None:
            raise self._refusal
        self.attributes = attributes
        self.told.append((kind, action, actor))


def configuration(root: str = "/var/lib/headway", *, downloads: int = 3, group: str = "") -> Configuration:
    settings = Settings(data_root=Path(root), max_concurrent_downloads=downloads)
    return Configuration(settings=settings, daemon=DaemonSettings(group=group), path=Path("/etc/headway/daemon.json"))


def reloaded(service: Service, events: Events, new: Configuration) -> Configuration:
    return Reloader(service, events, "ship").reload(configuration(), new)  # type: ignore[arg-type]  # what it needs


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_reload_changes_limits_and_not_what_needs_a_restart() -> None:
    service, events = Service(), Events()

    after = reloaded(service, events, configuration("/elsewhere", downloads=7, group="docker"))

    assert service.limits["max_concurrent_downloads"] == 7
    assert after == configuration(downloads=7)
    assert events.told == [("daemon", "reload", "ABCD")]
    assert events.attributes == {
        "debug": "false",
        "insecure-registries": "[]",
        "labels": "[]",
        "max-concurrent-downloads": "7",
        "max-concurrent-uploads": "5",
        "max-download-attempts": "5",
        "name": "ship",
        "registry-mirrors": "[]",
        "shutdown-timeout": "15",
    }


def test_a_reload_changes_what_is_live_and_nothing_else() -> None:
    other: dict[str, Any] = {"labels": ("a=b",), "pull_detach": True, "log_format": "json"}
    new = msgspec.structs.replace(
        configuration(),
        settings=Settings(
            data_root=Path("/var/lib/headway"), no_proxy="here", max_download_rate=5, storage_driver="vfs"
        ),
        daemon=DaemonSettings(**other),
    )

    after = reloaded(Service(), Events(), new)

    assert after.settings == msgspec.structs.replace(new.settings, storage_driver="")
    assert after.daemon == msgspec.structs.replace(new.daemon, log_format="text")


def test_what_has_changed_and_needs_a_restart_is_named_at_each_reload(caplog: pytest.LogCaptureFixture) -> None:
    new = configuration("/elsewhere", downloads=7, group="docker")
    reloader = Reloader(Service(), Events(), "ship")  # type: ignore[arg-type]  # what it needs

    reloader.reload(reloader.reload(configuration(), new), new)

    waiting = "/etc/headway/daemon.json: data-root, group: changed, and in force after a restart only"
    assert warned(caplog) == [waiting, waiting]


def test_nothing_is_said_of_a_restart_where_all_that_has_changed_is_in_force(caplog: pytest.LogCaptureFixture) -> None:
    after = reloaded(Service(), Events(), configuration(downloads=7))

    assert after == configuration(downloads=7)
    assert warned(caplog) == []


def test_a_reload_names_the_keys_that_are_of_no_use_here(caplog: pytest.LogCaptureFixture) -> None:
    reloaded(Service(), Events(), msgspec.structs.replace(configuration(), warnings=("bip: ignored",)))

    assert warned(caplog) == ["bip: ignored"]


def test_limits_that_cannot_be_change_nothing_and_nobody_is_told() -> None:
    events = Events()

    with pytest.raises(InvalidSettingError):
        reloaded(Service(InvalidSettingError("no")), events, configuration(downloads=7))

    assert events.told == []


def test_a_reload_that_a_full_disk_cannot_record_is_in_force_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    after = reloaded(Service(), Events(StoreFullError("/var")), configuration(downloads=7))

    assert after == configuration(downloads=7)
    assert "in force, but not among the events" in caplog.text
