"""A container's host config: what Docker's ``HostConfig`` takes, and the keys that it always has.

Rule: pure functions over documents as they are written; keys that nobody here knows are kept as they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from headway.errors import RequestError
from headway.oci.run_config import Config, spelled

_TEXTS = list[str | None]  # where Docker has a text in a list or an object, null is taken for an empty one
_WORDS = _TEXTS | str
_MAP = dict[str, str | None]
_OBJECTS = list[dict[str, Any] | None]
_ABSENT = object()


class _LogConfig(msgspec.Struct, frozen=True, rename="pascal"):
    type: str | None = None
    config: _MAP | None = None


class _RestartPolicy(msgspec.Struct, frozen=True, rename="pascal"):
    name: str | None = None
    maximum_retry_count: int | None = None


# In Docker's order: of each key the kind of its value, and what it is where nobody said anything.
_KEYS: Mapping[str, tuple[Any, object]] = {
    "Binds": (_TEXTS, None),
    "ContainerIDFile": (str, ""),
    "LogConfig": (_LogConfig, {"Type": "", "Config": {}}),
    "NetworkMode": (str, "default"),
    "PortBindings": (dict[str, list[_MAP | None] | None], None),
    "RestartPolicy": (_RestartPolicy, {"Name": "", "MaximumRetryCount": 0}),
    "AutoRemove": (bool, False),
    "VolumeDriver": (str, ""),
    "VolumesFrom": (_TEXTS, None),
    "ConsoleSize": (list[int], [0, 0]),
    "CapAdd": (_WORDS, None),
    "CapDrop": (_WORDS, None),
    "CgroupnsMode": (str, ""),
    "Dns": (_TEXTS, None),
    "DnsOptions": (_TEXTS, None),
    "DnsSearch": (_TEXTS, None),
    "ExtraHosts": (_TEXTS, None),
    "GroupAdd": (_TEXTS, None),
    "IpcMode": (str, ""),
    "Cgroup": (str, ""),
    "Links": (_TEXTS, None),
    "OomScoreAdj": (int, 0),
    "PidMode": (str, ""),
    "Privileged": (bool, False),
    "PublishAllPorts": (bool, False),
    "ReadonlyRootfs": (bool, False),
    "SecurityOpt": (_TEXTS, None),
    "StorageOpt": (_MAP, _ABSENT),
    "Tmpfs": (_MAP, _ABSENT),
    "UTSMode": (str, ""),
    "UsernsMode": (str, ""),
    "ShmSize": (int, 0),
    "Sysctls": (_MAP, _ABSENT),
    "Runtime": (str, ""),
    "Isolation": (str, ""),
    "CpuShares": (int, 0),
    "Memory": (int, 0),
    "NanoCpus": (int, 0),
    "CgroupParent": (str, ""),
    "BlkioWeight": (int, 0),
    "BlkioWeightDevice": (_OBJECTS, None),
    "BlkioDeviceReadBps": (_OBJECTS, None),
    "BlkioDeviceWriteBps": (_OBJECTS, None),
    "BlkioDeviceReadIOps": (_OBJECTS, None),
    "BlkioDeviceWriteIOps": (_OBJECTS, None),
    "CpuPeriod": (int, 0),
    "CpuQuota": (int, 0),
    "CpuRealtimePeriod": (int, 0),
    "CpuRealtimeRuntime": (int, 0),
    "CpusetCpus": (str, ""),
    "CpusetMems": (str, ""),
    "Devices": (_OBJECTS, None),
    "DeviceCgroupRules": (_TEXTS, None),
    "DeviceRequests": (_OBJECTS, None),
    "KernelMemory": (int, _ABSENT),
    "KernelMemoryTCP": (int, _ABSENT),
    "MemoryReservation": (int, 0),
    "MemorySwap": (int, 0),
    "MemorySwappiness": (int, None),
    "OomKillDisable": (bool, None),
    "PidsLimit": (int, None),
    "Ulimits": (_OBJECTS, None),
    "CpuCount": (int, 0),
    "CpuPercent": (int, 0),
    "IOMaximumIOps": (int, 0),
    "IOMaximumBandwidth": (int, 0),
    "Mounts": (_OBJECTS, _ABSENT),
    "MaskedPaths": (_TEXTS, None),
    "ReadonlyPaths": (_TEXTS, None),
    "Init": (bool, _ABSENT),
    "Annotations": (_MAP, _ABSENT),
}


def checked_host(config: object) -> dict[str, Any]:
    """Return a host config whose known keys are what Docker takes there; null is none, and one word a list of it.

    Raises:
        RequestError: One is something else, or there is no object at all.
    """
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise RequestError(f"invalid HostConfig: Expected `object`, got `{type(config).__name__}`")
    known = spelled(config, _KEYS)
    for key, (kind, _) in _KEYS.items():
        if known.get(key) is None:
            continue
        try:
            msgspec.convert(known[key], kind)
        except msgspec.ValidationError as error:
            raise RequestError(f"invalid HostConfig: {key}: {error}") from None
        if kind is _WORDS and isinstance(known[key], str):
            known[key] = [known[key]]
    return known


def complete_host(config: Config) -> dict[str, Any]:
    """Return a host config with what it was given, and the keys that clients take to be there."""
    usual = {key: default for key, (_, default) in _KEYS.items() if default is not _ABSENT}
    given = {
        key: _filled(usual.get(key), value) for key, value in config.items() if value is not None or key not in usual
    }
    return {**usual, **given, "NetworkMode": config.get("NetworkMode") or "default"}


def _filled(usual: object, value: object) -> object:
    return {**usual, **value} if isinstance(usual, dict) and isinstance(value, dict) else value
