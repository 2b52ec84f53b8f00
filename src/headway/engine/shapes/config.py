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


# What Docker's host config always has, in its order, where nobody said anything and no engine decides.
_HOST: Mapping[str, object] = {
    "Binds": None,
    "ContainerIDFile": "",
    "LogConfig": {"Type": "", "Config": {}},
    "NetworkMode": "default",
    "PortBindings": None,
    "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
    "AutoRemove": False,
    "VolumeDriver": "",
    "VolumesFrom": None,
    "ConsoleSize": [0, 0],
    "CapAdd": None,
    "CapDrop": None,
    "CgroupnsMode": "",
    "Dns": None,
    "DnsOptions": None,
    "DnsSearch": None,
    "ExtraHosts": None,
    "GroupAdd": None,
    "IpcMode": "",
    "Cgroup": "",
    "Links": None,
    "OomScoreAdj": 0,
    "PidMode": "",
    "Privileged": False,
    "PublishAllPorts": False,
    "ReadonlyRootfs": False,
    "SecurityOpt": None,
    "UTSMode": "",
    "UsernsMode": "",
    "ShmSize": 0,
    "Runtime": "",
    "Isolation": "",
    "CpuShares": 0,
    "Memory": 0,
    "NanoCpus": 0,
    "CgroupParent": "",
    "BlkioWeight": 0,
    "BlkioWeightDevice": None,
    "BlkioDeviceReadBps": None,
    "BlkioDeviceWriteBps": None,
    "BlkioDeviceReadIOps": None,
    "BlkioDeviceWriteIOps": None,
    "CpuPeriod": 0,
    "CpuQuota": 0,
    "CpuRealtimePeriod": 0,
    "CpuRealtimeRuntime": 0,
    "CpusetCpus": "",
    "CpusetMems": "",
    "Devices": None,
    "DeviceCgroupRules": None,
    "DeviceRequests": None,
    "MemoryReservation": 0,
    "MemorySwap": 0,
    "MemorySwappiness": None,
    "OomKillDisable": None,
    "PidsLimit": None,
    "Ulimits": None,
    "CpuCount": 0,
    "CpuPercent": 0,
    "IOMaximumIOps": 0,
    "IOMaximumBandwidth": 0,
    "MaskedPaths": None,
    "ReadonlyPaths": None,
}


def image_config(config: Mapping[str, object], version: ApiVersion) -> dict[str, object]:
    """Return an image's config as clients of `version` see it."""
    completed = complete(config)
    if version < _ONLY_OCI:
        return completed
    return {key: value for key, value in completed.items() if key not in _OF_CONTAINERS}


def host_config(config: Mapping[str, object]) -> dict[str, object]:
    """Return a container's host config: what it was given, and the keys that clients take to be there."""
    given = {key: _completed(key, value) for key, value in config.items() if value is not None or key not in _HOST}
    return {**_HOST, **given, "NetworkMode": config.get("NetworkMode") or "default"}


def _completed(key: str, value: object) -> object:
    known = _HOST.get(key)
    return {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
