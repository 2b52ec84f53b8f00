"""A container's or an image's config with all the keys that clients look for (moby-behaviour 6.4 and 10)."""

from __future__ import annotations

from collections.abc import Mapping

from headway.engine.api_version import ApiVersion

_ONLY_OCI = ApiVersion(1, 50)

# Keys that are always there, and what they are where nobody said.
_LEGACY: Mapping[str, object] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}
_OCI: Mapping[str, object] = {
    key: _LEGACY[key] for key in ("User", "Env", "Cmd", "Volumes", "WorkingDir", "Entrypoint", "OnBuild", "Labels")
}
# Keys that are there only where somebody said something.
_OPTIONAL = ("ExposedPorts", "Healthcheck", "ArgsEscaped", "NetworkDisabled", "MacAddress", "StopSignal", "StopTimeout")
_OPTIONAL_OCI = ("ExposedPorts", "Healthcheck", "ArgsEscaped", "StopSignal", "Shell")


def image_config(config: Mapping[str, object], version: ApiVersion) -> dict[str, object]:
    """Return an image's config as clients of `version` see it."""
    if version >= _ONLY_OCI:
        return _filled(config, _OCI, _OPTIONAL_OCI)
    return container_config(config)


def container_config(config: Mapping[str, object]) -> dict[str, object]:
    """Return a container's config as every version sees it."""
    return _filled(config, _LEGACY, (*_OPTIONAL, "Shell"))


def _filled(config: Mapping[str, object], always: Mapping[str, object], optional: tuple[str, ...]) -> dict[str, object]:
    filled = {key: _known(config.get(key), default) for key, default in always.items()}
    return filled | {key: config[key] for key in optional if config.get(key)}


def _known(value: object, default: object) -> object:
    return default if value is None else value
