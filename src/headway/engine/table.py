"""The table of all routes over one image service: Docker's, and Headway's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headway.composition.host_platform import host_platform
from headway.engine.routes import elsewhere
from headway.engine.routes.archive import ArchiveRoutes
from headway.engine.routes.containers import ContainerRoutes
from headway.engine.routes.headway import HeadwayRoutes
from headway.engine.routes.headway_pulls import HeadwayPullRoutes
from headway.engine.routes.images import ImageRoutes
from headway.engine.routes.imports import ImportRoutes
from headway.engine.routes.pulls import PullRoutes
from headway.engine.routes.pushes import PushRoutes
from headway.engine.routes.saved import SavedRoutes
from headway.engine.routes.system import SystemRoutes
from headway.engine.routes.usage import UsageRoutes
from headway.engine.routing import Route
from headway.interfaces.container_files import FileAccess
from headway.service.containers.containers import Containers
from headway.service.containers.files import ContainerFiles
from headway.service.containers.listing import ContainerListing
from headway.service.containers.prune import ContainerPruner
from headway.service.durable_pulls.pulls import Pulls
from headway.service.image_service import ImageService
from headway.service.stores import Stores
from headway.settings import Settings


def all_routes(
    service: ImageService,
    stores: Stores,
    access: FileAccess,
    pulls: Pulls,
    *,
    settings: Callable[[], Settings],
    labels: Callable[[], Sequence[str]] = tuple,
) -> list[Route]:
    """Return every line of the table.

    Args:
        service: The image service.
        stores: The stores that it works on.
        access: Reads and writes files of containers.
        pulls: Pulls images.
        settings: Returns the settings in force.
        labels: Returns the daemon's labels, which ``/info`` shows.
    """
    platform = host_platform()
    containers = Containers(stores)
    listing = ContainerListing(stores)
    files = ContainerFiles(stores, access)

    from_registry = PullRoutes(service, platform, pulls)
    return [
        *HeadwayRoutes(service, stores, settings()).routes(),
        *HeadwayPullRoutes(service, pulls, platform).routes(),
        *SystemRoutes(service, containers, stores.events, settings, labels).routes(),
        *ImageRoutes(service).routes(),
        *SavedRoutes(service).routes(),
        *from_registry.routes(),
        *PushRoutes(service, platform).routes(),
        *ImportRoutes(service, platform, from_registry.create).routes(),
        *ContainerRoutes(service, containers, listing, files, ContainerPruner(stores), platform).routes(),
        *ArchiveRoutes(containers, files).routes(),
        *UsageRoutes(service, listing).routes(),
        *elsewhere.routes(containers, stores.events),
    ]
