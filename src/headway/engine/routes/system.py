"""Who answers here: ``/_ping``, ``/version``, ``/info`` (moby-behaviour 6.1 and 6.16).

Rule: what Headway has none of is shown as Docker shows it where there is none, so that every client finds its keys.
"""

from __future__ import annotations

import asyncio
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from headway.distribution.proxies import Proxy
from headway.engine.answers import document
from headway.engine.api_version import NEWEST, OLDEST
from headway.engine.call import Call
from headway.engine.host import Host, open_descriptors
from headway.engine.routing import Route
from headway.oci.reference import DOCKER_HUB
from headway.settings import Settings
from headway.version import VERSION

_INDEX = "https://index.docker.io/v1/"
_NO_CACHE = {"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache"}


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What there is, as ``/info`` counts it.

    Attributes:
        containers: Records of containers; none ever runs.
        images: All images, those without a name included.
        listeners: Who listens to events.
    """

    containers: int
    images: int
    listeners: int


class SystemRoutes:
    """Answers questions about the daemon.

    Args:
        host: The machine.
        identity: The daemon's ID.
        settings: Returns those in force.
        driver: Name of the storage driver.
        status: Returns what the driver says of itself, as pairs.
        counts: Returns what there is.
        labels: Returns ``key=value`` that an administrator has given the daemon.
    """

    def __init__(
        self,
        *,
        host: Host,
        identity: str,
        settings: Callable[[], Settings],
        driver: str,
        status: Callable[[], Sequence[tuple[str, str]]],
        counts: Callable[[], Counts],
        labels: Callable[[], Sequence[str]],
    ) -> None:
        self._host = host
        self._identity = identity
        self._settings = settings
        self._driver = driver
        self._status = status
        self._counts = counts
        self._labels = labels

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        return [
            Route("GET", "/_ping", self._ping),
            Route("HEAD", "/_ping", self._ping),
            Route("GET", "/version", self._version),
            Route("GET", "/info", self._info),
        ]

    async def _ping(self, call: Call) -> web.StreamResponse:
        return web.Response(text="OK", headers={**_NO_CACHE, "Builder-Version": "", "Swarm": "inactive"})

    async def _version(self, call: Call) -> web.StreamResponse:
        host = self._host
        shared = {
            "Os": "linux",
            "Arch": host.architecture,
            "KernelVersion": host.kernel,
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

    async def _info(self, call: Call) -> web.StreamResponse:
        return document(await asyncio.to_thread(self._shown))

    def _shown(self) -> dict[str, object]:
        host, settings, counts = self._host, self._settings(), self._counts()
        return {
            "ID": self._identity,
            "Containers": counts.containers,
            "ContainersRunning": 0,
            "ContainersPaused": 0,
            "ContainersStopped": counts.containers,
            "Images": counts.images,
            "Driver": self._driver,
            "DriverStatus": [list(pair) for pair in self._status()],
            "Plugins": {"Volume": [], "Network": [], "Authorization": None, "Log": []},
            **_NO_LIMITS,
            "Debug": settings.debug,
            "NFd": open_descriptors(),
            "NGoroutines": threading.active_count(),
            "SystemTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "LoggingDriver": "none",
            "CgroupDriver": "none",
            "NEventsListener": counts.listeners,
            "KernelVersion": host.kernel,
            "OperatingSystem": host.system,
            "OSVersion": host.system_version,
            "OSType": "linux",
            "Architecture": host.machine,
            "IndexServerAddress": _INDEX,
            "RegistryConfig": _registries(settings),
            "NCPU": host.processors,
            "MemTotal": host.memory,
            "GenericResources": None,
            "DockerRootDir": str(settings.data_root),
            "HttpProxy": _without_login(settings.http_proxy),
            "HttpsProxy": _without_login(settings.https_proxy),
            "NoProxy": settings.no_proxy or "",
            "Name": host.name,
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


def _without_login(url: str | None) -> str:
    """Return a proxy's URL as it may be shown: without the name and password in it."""
    return f"http://{Proxy.parse(url)}" if url else ""


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
