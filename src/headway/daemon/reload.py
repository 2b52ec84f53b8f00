"""What SIGHUP changes in a daemon that runs (moby-behaviour 7.4).

Rule: the new configuration is whole and valid before the first part of it is used.
"""

from __future__ import annotations

import json
import logging

import msgspec

from headway.daemon import logs
from headway.daemon.configuration import Configuration
from headway.errors import StoreError
from headway.service.events import Events
from headway.service.image_service import ImageService

log = logging.getLogger(__name__)


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

        What needs a restart stays as it is: addresses, TLS, the data root, the PID file.

        Raises:
            InvalidSettingError: A limit that cannot be; nothing has changed.
        """
        settings = new.settings
        self._service.update_config(**msgspec.structs.asdict(settings.limits))
        kept = msgspec.structs.replace(settings, data_root=before.settings.data_root)
        daemon = msgspec.structs.replace(
            before.daemon,
            labels=new.daemon.labels,
            log_level=new.daemon.log_level,
            shutdown_timeout=new.daemon.shutdown_timeout,
            pull_detach=new.daemon.pull_detach,
        )
        logs.set_level("debug" if settings.debug else daemon.log_level)
        log.debug("Reset Max Concurrent Downloads: %d", settings.max_concurrent_downloads)
        log.debug("Reset Max Concurrent Uploads: %d", settings.max_concurrent_uploads)
        log.debug("Reset Max Download Attempts: %d", settings.max_download_attempts)
        log.debug("Reset Shutdown Timeout: %d", daemon.shutdown_timeout)
        configuration = msgspec.structs.replace(new, settings=kept, daemon=daemon)
        attributes = reload_attributes(configuration, self._name)
        log.info("Reloaded configuration: %s", json.dumps(attributes))
        try:
            self._events.tell("daemon", "reload", self._service.daemon_id, attributes)
        except StoreError as error:
            log.warning("the reload is in force, but not among the events: %s", error)
        return configuration


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
