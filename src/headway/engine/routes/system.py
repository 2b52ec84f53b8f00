"""The daemon itself: ``/_ping``, ``/version``, ``/info``, ``/events`` (moby-behaviour 6.1, 6.16, 8.1).

Rule: things that Headway does not have are shown as Docker shows them when there are none: clients find every key.
"""

from __future__ import annotations

import asyncio
import os
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from headway import wire
from headway.composition.host_platform import host_platform
from headway.distribution.proxies import proxy_rules, without_login
from headway.engine.answers import document
from headway.engine.api_version import NEWEST, OLDEST
from headway.engine.call import Call
from headway.engine.routes.events import messages, stream_events
from headway.engine.routing import Route
from headway.oci.reference import DOCKER_HUB
from headway.service.containers.containers import Containers
from headway.service.containers.image_layers import LINUX
from headway.service.events.events import Events
from headway.service.image_service import ImageService
from headway.settings import Settings
from headway.version import VERSION

_INDEX = "https://index.docker.io/v1/"
_NO_CACHE = {"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache"}


class SystemRoutes:
    """Answers questions about the daemon.

    Args:
        service: Knows images and layers.
        containers: Knows containers, none of which ever runs.
        events: Where they are told, and who listens is known.
        settings: Returns those in force.
        labels: Returns ``key=value`` that an administrator has given the daemon.
    """

    def __init__(
        self,
        service: ImageService,
        containers: Containers,
        events: Events,
        settings: Callable[[], Settings],
        labels: Callable[[], Sequence[str]],
    ) -> None:
        self._service = service
        self._containers = containers
        self._events = events
        self._system = _system()
        self._settings = settings
        self._labels = labels
        self._driver = service.graph_driver_for_os()

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [
            Route("GET", "/_ping", self._ping),
            Route("HEAD", "/_ping", self._ping),
            Route("GET", "/version", self._version),
            Route("GET", "/info", self._info),
            Route("GET", "/events", self._stream),
        ]

    async def _ping(self, call: Call) -> web.StreamResponse:
        return web.Response(text="OK", headers={**_NO_CACHE, "Builder-Version": "", "Swarm": "inactive"})

    async def _version(self, call: Call) -> web.StreamResponse:
        uname = os.uname()
        shared = {
            "Os": "linux",
            "Arch": host_platform().architecture,
            "KernelVersion": uname.release,
            "GoVersion": "",
            "GitCommit": "",
        }
        versions = {"ApiVersion": str(NEWEST), "MinAPIVersion": str(OLDEST)}
        details = {**versions, **shared, "BuildTime": "", "Experimental": "false", "Python": platform.python_version()}
        return document(
            {
                "Platform": {"Name": "Headway, the image service"},
                "Components": [{"Name": "Engine", "Version": VERSION, "Details": details}],
                "Version": VERSION,
                **versions,
                **shared,
                "BuildTime": "",
            }
        )

    async def _stream(self, call: Call) -> web.StreamResponse:
        return await stream_events(call, self._events, "application/json", messages)

    async def _info(self, call: Call) -> web.StreamResponse:
        return document(await asyncio.to_thread(self._shown))

    def _shown(self) -> dict[str, object]:
        uname, settings, service = os.uname(), self._settings(), self._service
        containers = len(self._containers.list())
        proxies = proxy_rules(os.environ, http=settings.http_proxy, https=settings.https_proxy, none=settings.no_proxy)
        return {
            "ID": service.daemon_id,
            "Containers": containers,
            "ContainersRunning": 0,
            "ContainersPaused": 0,
            "ContainersStopped": containers,
            "Images": service.count_images(),
            "Driver": self._driver,
            "DriverStatus": [list(pair) for pair in service.layer_store_status()[LINUX]],
            "Plugins": {"Volume": [], "Network": [], "Authorization": None, "Log": []},
            **_NO_LIMITS,
            "Debug": settings.debug,
            "NFd": len(list(Path("/proc/self/fd").iterdir())),
            "NGoroutines": threading.active_count(),
            "SystemTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "LoggingDriver": "none",
            "CgroupDriver": "none",
            "NEventsListener": self._events.listeners,
            "KernelVersion": uname.release,
            **self._system,
            "OSType": "linux",
            "Architecture": uname.machine,
            "IndexServerAddress": _INDEX,
            "RegistryConfig": _registries(settings),
            "NCPU": len(os.sched_getaffinity(0)),
            "MemTotal": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            "GenericResources": None,
            "DockerRootDir": str(settings.data_root),
            "HttpProxy": wire.as_text(without_login(proxies.http)),
            "HttpsProxy": wire.as_text(without_login(proxies.https)),
            "NoProxy": wire.as_text(proxies.no_proxy),
            "Name": uname.nodename,
            "Labels": list(self._labels()),
            "ExperimentalBuild": False,
            "ServerVersion": VERSION,
            **_RUNS_NOTHING,
        }


_NO_LIMITS = dict.fromkeys(
    [
        *("MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares", "CPUSet", "PidsLimit"),
        *("IPv4Forwarding", "BridgeNfIptables", "BridgeNfIp6tables", "OomKillDisable"),
    ],
    False,
)
_COMMIT = {"ID": "", "Expected": ""}
_RUNS_NOTHING: Mapping[str, object] = {
    "Runtimes": {},
    "DefaultRuntime": "",
    "Swarm": {
        "NodeID": "",
        "NodeAddr": "",
        "LocalNodeState": "inactive",
        "ControlAvailable": False,
        "Error": "",
        "RemoteManagers": None,
    },
    "LiveRestoreEnabled": False,
    "Isolation": "",
    "InitBinary": "",
    "ContainerdCommit": _COMMIT,
    "RuncCommit": _COMMIT,
    "InitCommit": _COMMIT,
    "SecurityOptions": [],
    "Warnings": None,
}


def _system() -> dict[str, str]:
    """Return what this machine's distribution says of itself."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    return {"OperatingSystem": release.get("PRETTY_NAME", "unknown"), "OSVersion": release.get("VERSION_ID", "")}


def _registries(settings: Settings) -> dict[str, object]:
    blocks = [text for text in settings.insecure_registries if "/" in text]
    hosts = [text for text in settings.insecure_registries if "/" not in text]
    mirrors = [url.rstrip("/") + "/" for url in settings.mirrors_of(DOCKER_HUB)]
    hub = {"Name": DOCKER_HUB, "Mirrors": mirrors, "Secure": True, "Official": True}
    others = {host: {"Name": host, "Mirrors": [], "Secure": False, "Official": False} for host in hosts}
    return {
        "AllowNondistributableArtifactsCIDRs": None,
        "AllowNondistributableArtifactsHostnames": None,
        "InsecureRegistryCIDRs": [*blocks, "127.0.0.0/8", "::1/128"],
        "IndexConfigs": {DOCKER_HUB: hub, **others},
        "Mirrors": mirrors,
    }
