"""Decides which store a command works on: that of a daemon that was named, or the one below the data root.

Rule 1: ``-H``, then ``HEADWAY_HOST``, then ``DOCKER_HOST`` if Headway answers there, then the data root. A data root
        given on the command line wins over the environment.
Rule 2: changes to the store of the data root go through the daemon that holds it. Queries read the records directly,
        with a daemon or without: they need no lock, and the answer is the same. An exception is ``df``, which asks the
        daemon: only its process knows what a running pull needs.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from headway.cli.session import say
from headway.settings import Settings

if TYPE_CHECKING:
    from headway.client.daemon import Daemon

_CERTIFICATES = ("HEADWAY_CERT_PATH", "DOCKER_CERT_PATH")


def named_daemon(options: Namespace) -> Daemon | None:
    """Return the daemon that the command line or the environment names; None if they name none.

    Raises:
        InvalidSettingError: The address is not valid.
    """
    if options.host:
        return daemon_at(options.host)
    if options.data_root is not None:
        return None
    if host := os.environ.get("HEADWAY_HOST"):
        return _named_by_environment(host)
    host = os.environ.get("DOCKER_HOST")
    return _if_headway(host) if host else None


def _named_by_environment(host: str) -> Daemon:
    from headway.errors import InvalidSettingError  # noqa: PLC0415  # as in `daemon_at`

    try:
        return daemon_at(host)
    except InvalidSettingError as error:
        error.file = "HEADWAY_HOST"  # what has to be mended
        raise


def holding_daemon(options: Namespace, settings: Settings) -> Daemon | None:
    """Return the daemon that changes go through: the one that is named, or the one that holds the data root.

    Raises:
        InvalidSettingError: The address is not valid.
        StoreReadOnlyError: This user may not read the data root.
    """
    if (named := named_daemon(options)) is not None:
        return named
    from headway.store.lock import holder  # noqa: PLC0415  # questions do not pay for it

    found = holder(settings.data_root / "lock")
    return daemon_at(found.socket) if found is not None and found.socket else None


def daemon_at(host: str) -> Daemon:
    """Return the daemon at an address.

    Raises:
        InvalidSettingError: The address cannot be connected to.
    """
    # Imported late: a command on its own data root pays neither for HTTP nor for addresses.
    from headway.client.daemon import Daemon  # noqa: PLC0415
    from headway.engine.listeners import Address  # noqa: PLC0415
    from headway.errors import InvalidSettingError  # noqa: PLC0415

    address = Address.parse(host)
    if address.kind == "fd":
        raise InvalidSettingError(f"{host} is where a daemon listens, and none can be asked: write unix:///PATH")
    return Daemon(address, certificates(os.environ) if address.kind == "tcp" else None)


def certificates(environment: Mapping[str, str]) -> Path | None:
    """Return the directory of the certificates for TLS over TCP; None for no TLS."""
    return next((Path(path) for name in _CERTIFICATES if (path := environment.get(name))), None)


def _if_headway(host: str) -> Daemon | None:
    from headway.errors import HeadwayError  # noqa: PLC0415  # only who has DOCKER_HOST set pays for it

    try:
        daemon = daemon_at(host)
        daemon.ping()
    except HeadwayError:
        say(f"DOCKER_HOST ({host}) is not Headway, and is not used; set HEADWAY_HOST to the daemon to ask")
        return None
    return daemon
