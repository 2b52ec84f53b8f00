"""The lines that a daemon prints at its start, for people."""

from __future__ import annotations

import math
from collections.abc import Iterator

from headway.daemon.configuration import Configuration
from headway.daemon.sockets import Listener, reached_at
from headway.engine.api_version import NEWEST, OLDEST
from headway.engine.listeners import Address, parse_metrics_address
from headway.service.image_service import ImageService
from headway.service.stores import Stores
from headway.units import counted
from headway.version import VERSION


def greeting(
    configuration: Configuration, listeners: list[Listener], service: ImageService, stores: Stores
) -> Iterator[str]:
    """Yield the lines: version, sockets, data root, configuration, and a command to try."""
    settings, daemon = configuration.settings, configuration.daemon
    yield f"headway {VERSION}: Docker Engine API {OLDEST}-{NEWEST}, images only"
    for listener in listeners:
        yield f"socket     {reached_at(listener)} ({_who(listener, daemon.group)})"
    unfinished = list(stores.ingests.walk())
    kept = sum(held for _, held, _ in unfinished)
    what = [service.graph_driver_for_os() + "; " + counted(service.count_images(), "image")]
    if unfinished:
        what += [counted(len(unfinished), "unfinished download"), f"{kept / 1e6:.1f} MB kept"]
    yield f"data root  {settings.data_root} ({', '.join(what)})"
    is_there = configuration.path.exists()
    limits = service.limits
    yield (
        f"config     {configuration.path if is_there else f'none ({configuration.path})'}   "
        f"limits: {counted(limits.max_concurrent_downloads, 'download')}, "
        f"{counted(limits.max_concurrent_uploads, 'upload')}, "
        f"{counted(limits.max_download_attempts, 'attempt')} without progress, "
        f"patience {_duration(limits.download_patience)}"
    )
    if daemon.metrics_addr:
        host, port = parse_metrics_address(daemon.metrics_addr)
        yield f"metrics    http://{str(Address('tcp', host=host, port=port)).removeprefix('tcp://')}/metrics"
    yield f"try        docker -H {reached_at(listeners[0])} pull alpine"


def _who(listener: Listener, group: str) -> str:
    match listener.address.kind:
        case "unix" if group:
            return f"its owner and the group {group}"
        case "unix":
            return "its owner only; --group docker shares it"
        case "fd":
            return "passed on by systemd"
    if listener.tls is None:
        return "no TLS: whoever reaches it can do everything"
    return "TLS, clients' certificates" if listener.tls.verify_mode else "TLS"


def _duration(seconds: float) -> str:
    if math.isinf(seconds):
        return "for ever"
    return f"{seconds / 60:g}m" if seconds >= 60 else f"{seconds:g}s"
