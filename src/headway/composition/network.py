"""How this process reaches registries: connections, proxies and logins, from its settings and its environment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
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
    """Return a transport that trusts the certificates this user and this machine trust, and uses their proxies.

    Args:
        settings: Take precedence over the environment.
        standing: What is known of registries; None to begin with nothing.
        resolve: Looks a name up, as `socket.getaddrinfo` does, which None stands for.
        wall: Seconds since the epoch, by this machine's clock.
        rate: Returns the rate limit of connections at this moment; None for no limit.
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
    """The proxies in force: those of the environment, and of the settings' file as it is at this moment.

    The file is read again whenever it changes: people who move from one network to another change their proxy while
    a pull is under way.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen = _stamp(settings.file)

    def __call__(self) -> ProxyRules:
        """Return the rules that choose a proxy for a host; called for each exchange."""
        if (stamp := _stamp(self._settings.file)) != self._seen:
            self._seen = stamp
            with suppress(InvalidSettingError):  # half written: keep the rules until it can be read
                # None, for the default file, says that it need not exist.
                file = None if self._settings.file == DEFAULT_CONFIG_FILE else self._settings.file
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
    """Return the files of logins that are read."""
    return AuthFiles(_auth_files(settings))


def login_file(settings: Settings) -> LoginFile:
    """Return the file that logins are saved in: the first of those that are read."""
    return LoginFile(_auth_files(settings)[0])


def _auth_files(settings: Settings) -> Sequence[Path]:
    return auth_files(os.environ, home_directory(os.environ), settings.auth_file, uid=os.getuid())
