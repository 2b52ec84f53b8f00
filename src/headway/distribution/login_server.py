"""The registry that somebody logs in to, as docker's users write it (moby-behaviour 3.8, "Login")."""

from __future__ import annotations

from headway.distribution.endpoints import DOCKER_HUB_NAMES, has_valid_port
from headway.errors import InvalidSettingError
from headway.oci.reference import DOCKER_HUB


def registry_host(server: str | None) -> str:
    """Return the host of the registry that docker's words mean: a host, a URL, or nothing for Docker Hub.

    Raises:
        InvalidSettingError: It names none.
    """
    if not server:
        return DOCKER_HUB
    host = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
    if not host or any(character in host for character in "@?# ") or not has_valid_port(host):
        raise InvalidSettingError("write the registry as host[:port]")
    return DOCKER_HUB if host in DOCKER_HUB_NAMES else host
