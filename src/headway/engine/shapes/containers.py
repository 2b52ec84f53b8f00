"""Containers in the Engine API's JSON (moby-behaviour 6.18, 6.19).

Rule: Headway runs none: what only a running container has is there, and empty, as it is for one that was never started.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from headway.container_records import ContainerRecord, ContainerState
from headway.engine.shapes.images import NEVER, graph_driver, moment_of
from headway.oci.host_config import complete_host
from headway.oci.run_config import complete
from headway.service.queries.moments import SECOND

_STATUS = {
    ContainerState.CREATED: "Created",
    ContainerState.DEAD: "Dead",
    ContainerState.REMOVING: "Removal In Progress",
}

# In Docker's order.
_NETWORK_SETTINGS: Mapping[str, object] = {
    "Bridge": "",
    "SandboxID": "",
    "HairpinMode": False,
    "LinkLocalIPv6Address": "",
    "LinkLocalIPv6PrefixLen": 0,
    "Ports": {},
    "SandboxKey": "",
    "SecondaryIPAddresses": None,
    "SecondaryIPv6Addresses": None,
    "EndpointID": "",
    "Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "MacAddress": "",
    "Networks": {},
}


def listed(container: ContainerRecord, *, image: str, sizes: tuple[int, int] | None) -> dict[str, object]:
    """Return one container of ``GET /containers/json``.

    Args:
        container: Its record.
        image: What to call its image.
        sizes: What it has written, and that with its image; None where that was not asked for.
    """
    config, host = documents(container)
    shape: dict[str, object] = {
        "Id": container.container_id,
        "Names": [f"/{container.name}"],
        "Image": image,
        "ImageID": str(container.image_id or ""),
        "Command": _told(_command(config)),
        "Created": container.created_nano // SECOND,
        "Ports": [],
    }
    if sizes is not None:
        shape |= {key: size for key, size in zip(("SizeRw", "SizeRootFs"), sizes, strict=True) if size}
    return shape | {
        "Labels": config.get("Labels") or {},
        "State": container.state.value,
        "Status": _STATUS[container.state],
        "HostConfig": {"NetworkMode": host.get("NetworkMode") or "default"},
        "NetworkSettings": {"Networks": {}},
        "Mounts": [],
    }


def inspected(
    container: ContainerRecord, *, driver: str, driver_data: Mapping[str, str], sizes: tuple[int, int] | None
) -> dict[str, object]:
    """Return everything that is known of a container, as ``GET /containers/{id}/json`` shows it."""
    config, host = documents(container)
    command = _command(config)
    shape: dict[str, object] = {
        "Id": container.container_id,
        "Created": moment_of(container.created_nano),
        "Path": command[0] if command else "",
        "Args": command[1:],
        "State": _state(container),
        "Image": str(container.image_id or ""),
        **dict.fromkeys(("ResolvConfPath", "HostnamePath", "HostsPath", "LogPath"), ""),
        "Name": f"/{container.name}",
        "RestartCount": 0,
        "Driver": driver,
        "Platform": "linux",
        "MountLabel": container.mount_label,
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": complete_host(host),
        "GraphDriver": graph_driver(driver, driver_data),
    }
    if sizes is not None:
        shape |= {"SizeRw": sizes[0], "SizeRootFs": sizes[1]}
    return shape | {
        "Mounts": [],
        "Config": {
            **complete(config),
            "Hostname": config.get("Hostname") or container.container_id[:12],
            "Labels": config.get("Labels") or {},
        },
        "NetworkSettings": _NETWORK_SETTINGS,
    }


def _command(config: Mapping[str, Any]) -> list[str]:
    return [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]


def _told(command: list[str]) -> str:
    """Return a command on one line as Docker writes it: an argument with a space in quotes, and nothing else."""
    arguments = (f"'{each}'" if " " in each else each for each in command[1:])
    return " ".join([*command[:1], *arguments])


def _state(container: ContainerRecord) -> dict[str, object]:
    return {
        "Status": container.state.value,
        "Running": False,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": container.state is ContainerState.DEAD,
        "Pid": 0,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": NEVER,
        "FinishedAt": NEVER,
    }


def documents(container: ContainerRecord) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a container's config and host config."""
    return msgspec.json.decode(container.config), msgspec.json.decode(container.host_config)
