"""A container's or an image's config with all the keys that clients look for (moby-behaviour 6.4 and 10)."""

from __future__ import annotations

from collections.abc import Mapping

from headway.engine.api_version import ApiVersion

_ONLY_OCI = ApiVersion(1, 50)

_ABSENT = object()

# In Docker's order. Keys that are always there, with what they are where nobody said; and those that are there only
# where somebody said something.
_KEYS: Mapping[str, object] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "ExposedPorts": _ABSENT,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Healthcheck": _ABSENT,
    "ArgsEscaped": _ABSENT,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "NetworkDisabled": _ABSENT,
    "MacAddress": _ABSENT,
    "OnBuild": None,
    "Labels": None,
    "StopSignal": _ABSENT,
    "StopTimeout": _ABSENT,
    "Shell": _ABSENT,
}
_OF_CONTAINERS = frozenset(
    [
        *("Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"),
        *("Image", "NetworkDisabled", "MacAddress", "StopTimeout"),
    ]
)
_OCI: Mapping[str, object] = {key: default for key, default in _KEYS.items() if key not in _OF_CONTAINERS}


def image_config(config: Mapping[str, object], version: ApiVersion) -> dict[str, object]:
    """Return an image's config as clients of `version` see it."""
    return _filled(config, _OCI if version >= _ONLY_OCI else _KEYS)


def container_config(config: Mapping[str, object]) -> dict[str, object]:
    """Return a container's config as every version sees it."""
    return _filled(config, _KEYS)


def _filled(config: Mapping[str, object], keys: Mapping[str, object]) -> dict[str, object]:
    filled: dict[str, object] = {}
    for key, default in keys.items():
        value = config.get(key)
        if default is _ABSENT:
            if value:
                filled[key] = value
        else:
            filled[key] = default if value is None else value
    return filled
