"""How this process reaches registries: connections and credentials, as environment and settings have them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from headway.distribution.proxies import ProxyRules, proxy_rules
from headway.distribution.standing import Standing
from headway.errors import InvalidSettingError
from headway.registry.certificates import Certificates, certificate_directories
from headway.registry.credentials import AuthFiles, auth_files
from headway.registry.logins import LoginFile
from headway.registry.names import Names, Resolve
from headway.registry.transport import Transport
from headway.registry.window import KeptRate
from headway.settings import DEFAULT_CONFIG_FILE, Settings, home_directory, load


def transport_of(
    settings: Settings,
    *,
    standing: Standing | None = None,
    resolve: Resolve | None = None,
    wall: Callable[[], float] = time.time,
    rate: Callable[[], KeptRate | None] = lambda: None,
) -> Transport:
    """Return connections that trust what this user and this machine trust, and go through their proxies.

    Args:
        settings: Says what of that is not the environment's.
        standing: What registries have shown.
        resolve: Asks the name servers, as `socket.getaddrinfo` does.
        wall: Seconds since the epoch, as this machine has them.
        rate: Returns the rate that connections keep to now; None for no limit.
    """
    standing = standing or Standing()
    certificates = Certificates(certificate_directories(os.environ, home_directory(os.environ)))
    return Transport(
        certificates,
        Proxies(settings),
        names=Names(standing.addresses, resolve),
        standing=standing,
        wall=wall,
        rate=rate,
    )


class Proxies:
    """The proxies in force: those of the settings' file as it is now, and of the environment.

    Whoever walks from one network into another changes them while pulls are under way.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen = _stamp(settings.file)

    def __call__(self) -> ProxyRules:
        """Return who is reached through which proxy; called for each exchange."""
        if (stamp := _stamp(self._settings.file)) != self._seen:
            self._seen = stamp
            with suppress(InvalidSettingError):  # half written: what held before holds until it can be read
                file = None if self._settings.file == DEFAULT_CONFIG_FILE else self._settings.file  # that need not be
                self._settings = load({}, data_root=self._settings.data_root, config_file=file).settings
        http, https, none = self._settings.http_proxy, self._settings.https_proxy, self._settings.no_proxy
        return proxy_rules(os.environ, http=http, https=https, none=none)


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    try:
        status = file.stat() if file is not None else None
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size) if status is not None else None


def credential_source(settings: Settings) -> AuthFiles:
    """Return what knows the user's logins."""
    return AuthFiles(auth_files(os.environ, home_directory(os.environ), settings.auth_file, uid=os.getuid()))


def login_file(settings: Settings) -> LoginFile:
    """Return where this user's logins are saved: the first of the files that are read."""
    return LoginFile(auth_files(os.environ, home_directory(os.environ), settings.auth_file, uid=os.getuid())[0])
