"""Where a container would be joined to its host: networks and volumes, as filters ask for them (moby-behaviour 6.19).

Rule: its config and host config are somebody's documents, kept as they came: what is not of the form that Docker gives
      it says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from headway.container_records import ContainerRecord

_DEFAULT_NETWORK = "bridge"


def networks_of(container: ContainerRecord) -> set[str]:
    """Return the names of the networks that a container would have; none where it takes another container's."""
    mode = _document(container.host_config).get("NetworkMode") or "default"
    if not isinstance(mode, str) or mode.startswith("container:"):
        return set()
    return {_DEFAULT_NETWORK if mode == "default" else mode}


def volumes_of(container: ContainerRecord) -> set[str]:
    """Return what a container's volumes are known by: a name or a path of the host, and the path inside."""
    return {word for word in _volumes(container) if word}


def _volumes(container: ContainerRecord) -> Iterator[str]:
    host = _document(container.host_config)
    yield from _map(_document(container.config).get("Volumes"))
    for bind in _list(host.get("Binds")):
        if isinstance(bind, str):
            yield from bind.split(":")[:2]
    for mount in _list(host.get("Mounts")):
        for key in ("Source", "Target"):
            if isinstance(word := _map(mount).get(key), str):
                yield word


def _document(text: str) -> dict[str, Any]:
    return _map(msgspec.json.decode(text))


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
