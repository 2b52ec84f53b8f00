"""What SIGHUP changes in a daemon that runs (moby-behaviour 7.4).

Rule: the new configuration is whole and valid before the first part of it is used.
"""

from __future__ import annotations

import json
import logging
from typing import TypeVar

import msgspec

from headway.daemon import logs
from headway.daemon.configuration import Configuration, DaemonSettings, LiveDaemonSettings
from headway.errors import StoreError
from headway.service.events.events import Events
from headway.service.image_service import ImageService
from headway.settings import LiveSettings, Settings

log = logging.getLogger(__name__)

_T = TypeVar("_T", Settings, DaemonSettings)


class Reloader:
    """Brings a configuration into force.

    Args:
        service: Keeps to its limits.
        events: Where the reload is told.
        name: This machine's name, as the event says it.
    """

    def __init__(self, service: ImageService, events: Events, name: str) -> None:
        self._service = service
        self._events = events
        self._name = name

    def reload(self, before: Configuration, new: Configuration) -> Configuration:
        """Bring `new` into force, as far as a running daemon can; return the configuration that is in force then.

        What needs a restart, such as addresses and the data root, stays as it is, and is named in the log.

        Raises:
            InvalidSettingError: A limit that cannot be; nothing has changed.
        """
        self._service.update_config(**msgspec.structs.asdict(new.settings.limits))
        settings = _with_fields(LiveSettings, before.settings, new.settings)
        daemon = _with_fields(LiveDaemonSettings, before.daemon, new.daemon)
        logs.set_level("debug" if settings.debug else daemon.log_level)
        log.debug("Reset Max Concurrent Downloads: %d", settings.max_concurrent_downloads)
        log.debug("Reset Max Concurrent Uploads: %d", settings.max_concurrent_uploads)
        log.debug("Reset Max Download Attempts: %d", settings.max_download_attempts)
        log.debug("Reset Shutdown Timeout: %d", daemon.shutdown_timeout)
        configuration = msgspec.structs.replace(new, settings=settings, daemon=daemon)
        attributes = reload_attributes(configuration, self._name)
        log.info("Reloaded configuration: %s", json.dumps(attributes))
        for warning in new.warnings:
            log.warning("%s", warning)
        if waiting := _changed(settings, new.settings) + _changed(daemon, new.daemon):
            log.warning("%s: %s: changed, and in force after a restart only", new.path, ", ".join(sorted(waiting)))
        try:
            self._events.tell("daemon", "reload", self._service.daemon_id, attributes)
        except StoreError as error:
            log.warning("the reload is in force, but not among the events: %s", error)
        return configuration


def _with_fields(live: type[msgspec.Struct], before: _T, new: _T) -> _T:
    """Return `before`, with what `new` says in the fields of `live`, from which both of them descend."""
    return msgspec.structs.replace(before, **{name: getattr(new, name) for name in live.__struct_fields__})


def _changed(kept: _T, new: _T) -> list[str]:
    """Return the keys of the file by which `new` differs from what is in force."""
    values = msgspec.structs.asdict(kept)
    return [name.replace("_", "-") for name, value in msgspec.structs.asdict(new).items() if value != values[name]]


def reload_attributes(configuration: Configuration, name: str) -> dict[str, str]:
    """Return what the event says, all of it as text (moby-behaviour 8.4)."""
    settings, daemon = configuration.settings, configuration.daemon
    return {
        "debug": str(settings.debug).lower(),
        "insecure-registries": json.dumps(list(settings.insecure_registries)),
        "labels": json.dumps(list(daemon.labels)),
        "max-concurrent-downloads": str(settings.max_concurrent_downloads),
        "max-concurrent-uploads": str(settings.max_concurrent_uploads),
        "max-download-attempts": str(settings.max_download_attempts),
        "name": name,
        "registry-mirrors": json.dumps(list(settings.registry_mirrors)),
        "shutdown-timeout": str(daemon.shutdown_timeout),
    }
