"""A container's or an image's config with all the keys that clients look for (moby-behaviour 6.4 and 10)."""

from __future__ import annotations

from collections.abc import Mapping

from headway.engine.api_version import ApiVersion
from headway.oci.run_config import complete

_ONLY_OCI = ApiVersion(1, 50)

_OF_CONTAINERS = frozenset(
    [
        *("Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"),
        *("Image", "NetworkDisabled", "MacAddress", "StopTimeout"),
    ]
)


def image_config(config: Mapping[str, object], version: ApiVersion) -> dict[str, object]:
    """Return an image's config as clients of `version` see it."""
    completed = complete(config)
    if version < _ONLY_OCI:
        return completed
    return {key: value for key, value in completed.items() if key not in _OF_CONTAINERS}
