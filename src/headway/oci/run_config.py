"""Merges a container's config with that of its image (moby-behaviour 6.17, `Merge`).

Rule: pure functions over documents as they are written; keys that nobody here knows stay the container's.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from headway.errors import RequestError
from headway.oci.signals import is_signal

Config: TypeAlias = Mapping[str, Any]

_PLAIN = ("User", "WorkingDir", "StopSignal")
_UNIONS = ("ExposedPorts", "Labels")
_HEALTH_TIMES = ("Interval", "Timeout", "StartPeriod", "StartInterval")
_SHORTEST = 1_000_000  # nanoseconds
_HEALTH = ("Test", *_HEALTH_TIMES, "Retries")


class _Healthcheck(msgspec.Struct, frozen=True, rename="pascal"):
    test: list[str | None] | None = None
    interval: int | None = None
    timeout: int | None = None
    start_period: int | None = None
    start_interval: int | None = None
    retries: int | None = None


_COMMANDS = ("Cmd", "Entrypoint")
_TEXTS = list[str | None]
_WORDS = _TEXTS | str
_SET = dict[str, dict[str, Any] | None]
_KINDS: Mapping[str, Any] = {
    **dict.fromkeys(("Hostname", "Domainname", "User", "Image", "WorkingDir", "MacAddress", "StopSignal"), str),
    **dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"), bool),
    **dict.fromkeys(("ArgsEscaped", "NetworkDisabled"), bool),
    **dict.fromkeys(("Env", "OnBuild", "Shell"), _TEXTS),
    **dict.fromkeys(_COMMANDS, _WORDS),
    **dict.fromkeys(("ExposedPorts", "Volumes"), _SET),
    "Labels": dict[str, str | None],
    "Healthcheck": dict[str, Any],
    "StopTimeout": int,
}


def spelled(document: Config, names: Iterable[str]) -> dict[str, Any]:
    """Return a document with its keys spelled as `names` are: Go, which reads it elsewhere, looks at no case."""
    known = {name.lower(): name for name in names}
    return {known.get(key.lower(), key): value for key, value in document.items()}


def checked(config: Config) -> dict[str, Any]:
    """Return a config whose known keys are what Docker takes there, as Go reads it; null means missing.

    Raises:
        RequestError: One is something else.
    """
    known = {key: value for key, value in spelled(config, _KINDS).items() if value is not None}
    for key in known.keys() & _KINDS.keys():
        try:
            value = msgspec.convert(known[key], _KINDS[key])
            if key == "Healthcheck":
                value = spelled(value, _HEALTH)
                msgspec.convert(value, _Healthcheck)
        except msgspec.ValidationError as error:
            raise RequestError(f"invalid config: {key}: {error}") from None
        known[key] = _read(key, value)
    return known


def _read(key: str, value: Any) -> Any:  # noqa: ANN401  # a value of JSON
    """Return a value as Go reads it: one word for a command is a list of it, and null for a text is an empty one."""
    if key in _COMMANDS and isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return ["" if each is None else each for each in value]
    if key == "Labels" and isinstance(value, dict):
        return {label: "" if text is None else text for label, text in value.items()}
    return value


def require_runnable(own: Config) -> None:
    """Refuse what somebody wrote for a container if no engine could ever start it so, in Docker's order and words.

    Args:
        own: `checked`, and not yet merged: what an image says is not looked at.

    Raises:
        RequestError: It names a directory, a signal, a variable or a time that there cannot be.
    """
    directory, signal = own.get("WorkingDir", ""), own.get("StopSignal", "")
    if directory and not directory.startswith("/"):
        raise RequestError(f"the working directory '{directory}' is invalid, it needs to be an absolute path")
    if signal and not is_signal(signal):
        raise RequestError(f"Invalid signal: {signal}")
    for line in own.get("Env", ()):
        if not line or line.startswith("="):
            raise RequestError(f"invalid environment variable: {line}")
    health = own.get("Healthcheck", {})
    for key in _HEALTH_TIMES:
        if _number(health, key) and _number(health, key) < _SHORTEST:
            raise RequestError(f"{key} in Healthcheck cannot be less than 1ms")
    if _number(health, "Retries") < 0:
        raise RequestError("Retries in Healthcheck cannot be negative")


def _number(health: Config, key: str) -> int:
    value: int | None = health.get(key)
    return value or 0


def merge(own: Config, image: Config) -> dict[str, Any]:
    """Return a container's config with what it leaves to its image.

    Args:
        own: The container's, as somebody wrote it; it wins.
        image: The image's.
    """
    merged: dict[str, Any] = dict(own)
    for key in _PLAIN:
        if not own.get(key) and image.get(key):
            merged[key] = image[key]
    for key in _UNIONS:
        if image.get(key):
            merged[key] = {**image[key], **(own.get(key) or {})}
    if image.get("Volumes"):
        merged["Volumes"] = {**(own.get("Volumes") or {}), **image["Volumes"]}
    if image.get("Env"):
        merged["Env"] = _environment(own.get("Env") or [], image["Env"])
    _merge_command(merged, own, image)
    if image.get("Healthcheck"):
        merged["Healthcheck"] = _health(own.get("Healthcheck") or {}, image["Healthcheck"])
    return merged


def container_config(own: Config, image: Config) -> dict[str, Any]:
    """Return how a container runs: what somebody wrote, and what that leaves to an image's config.

    Args:
        own: As `checked` gives it.
        image: As it stands in the image.

    Raises:
        RequestError: A value of the image's is of another kind than Docker's.
    """
    config = merge(own, checked(image))
    if config.get("Entrypoint") == [""]:  # how docker says that there is to be none
        config["Entrypoint"] = None
    if path := config.get("WorkingDir"):
        config["WorkingDir"] = posixpath.normpath("/" + path.lstrip("/"))
    return config


def _environment(own: list[str], image: list[str]) -> list[str]:
    """Return all variables; the container's own stand first, and hide the image's of the same name."""
    known = {line.partition("=")[0] for line in own}
    return [*own, *(line for line in image if line.partition("=")[0] not in known)]


def _merge_command(merged: dict[str, Any], own: Config, image: Config) -> None:
    """Take the image's command only where the container has neither command nor entrypoint of its own."""
    if own.get("Entrypoint"):
        return
    if not own.get("Cmd"):
        merged["Cmd"] = image.get("Cmd")
        if image.get("ArgsEscaped"):
            merged["ArgsEscaped"] = True
    if own.get("Entrypoint") is None:  # an empty list says: none
        merged["Entrypoint"] = image.get("Entrypoint")


def _health(own: Config, image: Config) -> dict[str, Any]:
    return {**own, **{key: image[key] for key in _HEALTH if not own.get(key) and image.get(key)}}


_ABSENT = object()

# In Docker's order. Keys that are always there, with what they are where nobody said; and those that are there only
# where somebody said something.
_KEYS: Config = {
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

_MAY_BE_NOTHING = frozenset(("Healthcheck", "StopTimeout"))
"""Keys of which 0 and ``{}`` say something: to stop a container at once is not to wait ten seconds."""


def complete(config: Config) -> dict[str, Any]:
    """Return a config as Docker writes it: every key that it always has, in its order, and no key that it does not."""
    config = spelled(config, _KEYS)
    completed: dict[str, Any] = {}
    for key, default in _KEYS.items():
        value = _read(key, config.get(key))
        if default is _ABSENT:
            if value or (value is not None and key in _MAY_BE_NOTHING):
                completed[key] = value
        else:
            completed[key] = default if value is None else value
    return completed
