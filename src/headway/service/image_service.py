"""The image service: Moby's `ImageService` (daemon/images, September 2019) in Headway's words.

Rule: nothing is decided here. Each method says what it means and hands over to the module that knows how
(moby-behaviour 1.2 has the methods; docs/moby-parity.md says where they differ, and which test shows it).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from headway.container_records import ContainerRecord
from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import own_endpoint
from headway.distribution.transfer_limits import TransferLimits
from headway.distribution.web_file import web_endpoint
from headway.errors import OutOfOrderError
from headway.interfaces.archives import Archive
from headway.interfaces.container_files import FileAccess
from headway.interfaces.distribution import DistributionMetadata
from headway.interfaces.files import Applier, TarSource
from headway.interfaces.images import ImageStore, ReferenceStore
from headway.interfaces.layers import LayerStore
from headway.interfaces.rw_layers import RwLayer
from headway.interfaces.trust import TrustKey
from headway.oci.digest import ImageID
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.records import Event, FoundRepository, ImageRecord
from headway.service.commit import CommitRequest, Committer
from headway.service.delete import delete_image
from headway.service.filters import NO_FILTERS, Filters
from headway.service.history import HistoryStep, history_of
from headway.service.image_layers import LINUX, ImageLayers
from headway.service.importing import Importer, ImportRequest
from headway.service.inspection import ImageDetails, details_of
from headway.service.listing import ListedImage, Listing
from headway.service.live_limits import LiveLimits
from headway.service.loading import Loaded, Loader, Tell
from headway.service.lookup import Lookup
from headway.service.progress import PullDone, Report
from headway.service.prune import Pruner, PruneReport
from headway.service.pull import Puller
from headway.service.push import ImagePusher, PushRequest
from headway.service.push_progress import PushDone, PushReport
from headway.service.registry_service import RegistryService
from headway.service.remote_image import PullRequest
from headway.service.repository import Repository
from headway.service.saving import Saver, saved
from headway.service.search import search
from headway.service.sharing import layer_disk_usage
from headway.service.stores import Stores
from headway.service.tagging import name_image, tag_image
from headway.service.web_import import Watch, WebImporter

log = logging.getLogger(__name__)


class ImageServiceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that the service is made of.

    Attributes:
        stores: Containers, images, references, layers, distribution metadata, events, and everything else below the
            data root.
        place: A directory on the file system that holds the layers.
        registry_service: Whom to ask, and how.
        trust_key: The daemon's own key.
        applier: Unpacks the layer of an image that is made here, and records its recipe.
        access: Reads containers' file systems.
        saver: Writes archives of images.
        loader: Reads them.
        pulls: Makes what pulls, for as long as its context lasts.
        pushes: The same for what pushes.
        limits: Of its transfers, to begin with.
    """

    stores: Stores
    place: Path
    registry_service: RegistryService
    trust_key: TrustKey
    applier: Applier
    access: FileAccess
    saver: Saver
    loader: Loader
    pulls: Callable[[LiveLimits], AbstractAsyncContextManager[Puller]]
    pushes: Callable[[LiveLimits], AbstractAsyncContextManager[ImagePusher]]
    limits: TransferLimits = TransferLimits()


class DistributionServices(msgspec.Struct, frozen=True, kw_only=True):
    """What others need to pull by themselves (moby-behaviour 1.2).

    Attributes:
        download_manager: Pulls.
        metadata: Which blobs were seen to hold which layers.
        layer_store: That of this operating system.
        image_store: Images.
        reference_store: Their names.
    """

    download_manager: Puller
    metadata: DistributionMetadata
    layer_store: LayerStore
    image_store: ImageStore
    reference_store: ReferenceStore


class ImageService:
    """Everything that is done with images. Inside ``async with`` it reaches registries, too.

    Methods without ``async`` are one step each; any thread may call them. What they raise is what the modules raise
    that they hand over to.

    Raises:
        InvalidSettingError: A limit that cannot be.
    """

    def __init__(self, config: ImageServiceConfig) -> None:
        self._config = config
        self._stores = config.stores
        self._limits = LiveLimits(config.limits)
        limits = self._limits.current
        log.debug("Max Concurrent Downloads: %d", limits.max_concurrent_downloads)
        log.debug("Max Concurrent Uploads: %d", limits.max_concurrent_uploads)
        log.debug("Max Download Attempts: %d", limits.max_download_attempts)
        self._lookup = Lookup(config.stores)
        self._layers = ImageLayers(config.stores, config.place)
        self._pruner = Pruner(config.stores)
        self._open = AsyncExitStack()
        self._puller: Puller | None = None
        self._pusher: ImagePusher | None = None

    async def __aenter__(self) -> Self:
        self._puller = await self._open.enter_async_context(self._config.pulls(self._limits))
        self._pusher = await self._open.enter_async_context(self._config.pushes(self._limits))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._puller = self._pusher = None
        return await self._open.__aexit__(kind, error, trace)

    @property
    def _pulls(self) -> Puller:
        if self._puller is None:
            raise OutOfOrderError("the image service reaches registries inside its context only")
        return self._puller

    @property
    def upload_manager(self) -> ImagePusher:
        """What pushes, for who counts what it sends."""
        if self._pusher is None:
            raise OutOfOrderError("the image service reaches registries inside its context only")
        return self._pusher

    @property
    def daemon_id(self) -> str:
        """The ID of the daemon's own key, as ``docker info`` shows it."""
        return self._config.trust_key.key_id

    @property
    def limits(self) -> TransferLimits:
        """The limits in force."""
        return self._limits.current

    # --- images -------------------------------------------------------------------------------------------------

    def count_images(self) -> int:
        """Return how many images there are, with those that have no name."""
        return self._stores.images.count()

    def map(self) -> Mapping[ImageID, ImageRecord]:
        """Return all images by ID."""
        return {record.image_id: record for record in self._stores.images.list()}

    def children(self, image_id: ImageID) -> list[ImageID]:
        """Return the images that were made from one here."""
        return self._stores.images.children(image_id)

    def get_image(self, ref_or_id: str, platform: Platform | None = None) -> ImageRecord:
        """Return the image that a name or an ID means; see `Lookup.for_platform` for one of another platform."""
        if platform is None:
            return self._lookup.find(ref_or_id)
        return self._lookup.for_platform(ref_or_id, platform)

    def images(
        self,
        filters: Filters = NO_FILTERS,
        *,
        intermediate: bool = False,
        containers: bool = False,
        shared_size: bool = False,
    ) -> list[ListedImage]:
        """Return images, newest first; see `Listing.images`."""
        return Listing(self._stores).images(
            filters, intermediate=intermediate, containers=containers, shared_size=shared_size
        )

    def lookup_image(self, name: str) -> ImageDetails:
        """Return everything that is known of an image."""
        return details_of(self._stores, name, driver=self._layers.driver(LINUX))

    def image_history(self, name: str) -> list[HistoryStep]:
        """Return the steps that made an image, newest first."""
        return history_of(self._stores, name)

    def tag_image(self, source: str, repository: str, tag: str = "") -> Reference:
        """Give an image one more name; see `tagging.tag_image`."""
        return tag_image(self._stores, source, repository, tag)

    def tag_image_with_reference(self, image_id: ImageID, reference: Reference) -> None:
        """Give an image a name that is known to be one; see `tagging.name_image`."""
        name_image(self._stores, image_id, reference)

    def image_delete(self, ref_or_id: str, *, force: bool = False, prune: bool = True) -> list[tuple[str, str]]:
        """Remove a name, or an image; see `delete.delete_image`."""
        return delete_image(self._stores, ref_or_id, force=force, prune=prune)

    def images_prune(
        self,
        filters: Filters = NO_FILTERS,
        *,
        unfinished: bool = False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> PruneReport:
        """Remove images that nobody uses, one prune at a time; see `Pruner.prune`."""
        return self._pruner.prune(filters, unfinished=unfinished, stopped=stopped)

    def import_image(
        self, source: TarSource, request: ImportRequest, progress: Callable[[int], None] = lambda _: None
    ) -> ImageID:
        """Make an image of a root file system's tar; see `Importer.import_image`."""
        return Importer(self._stores, self._config.applier).import_image(source, request, progress)

    async def import_from_web(self, url: str, request: ImportRequest, watch: Watch) -> ImageID:
        """Make an image of a tar that a web server has; see `WebImporter.import_from`.

        Raises:
            RequestError: It is no URL.
        """
        service = self._config.registry_service
        endpoint = web_endpoint(url, service.insecure())
        importer = Importer(self._stores, self._config.applier)
        web = WebImporter(self._pulls.tools, self._stores, service.files, importer)
        return await web.import_from(endpoint, msgspec.structs.replace(request, origin=url), watch)

    def commit_image(self, request: CommitRequest) -> ImageID:
        """Make an image of what a container has changed; see `Committer.commit`."""
        config = self._config
        platform = config.registry_service.host_platform
        return Committer(self._stores, config.applier, config.access, platform).commit(request)

    def export_image(self, names: Sequence[str], platform: Platform | None = None) -> Iterator[bytes]:
        """Yield an archive of images; see `saving.saved`."""
        return saved(self._stores, self._config.saver, names, platform)

    def load_image(self, archive: Archive, tell: Tell, *, platform: Platform | None = None) -> list[Loaded]:
        """Bring in the images of an archive; see `Loader.load`."""
        return self._config.loader.load(archive, tell, platform=platform)

    # --- events -------------------------------------------------------------------------------------------------

    def log_image_event(self, image_id: str, ref_name: str, action: str) -> Event:
        """Tell what happened to an image; its labels go along where there is such an image."""
        return self.log_image_event_with_attributes(image_id, ref_name, action, {})

    def log_image_event_with_attributes(
        self, image_id: str, ref_name: str, action: str, attributes: Mapping[str, str]
    ) -> Event:
        """Tell what happened to an image, with `attributes` beside its labels."""
        return self._stores.events.tell_of_image(action, image_id, ref_name, self._lookup.known(image_id), attributes)

    # --- layers -------------------------------------------------------------------------------------------------

    def create_layer(self, container: ContainerRecord, *, init: bool = True) -> RwLayer:
        """Make a container's read-write layer; see `ImageLayers.create`."""
        return self._layers.create(container, init=init)

    def get_layer_by_id(self, container_id: str, system: str = LINUX) -> RwLayer:
        """Return a container's read-write layer."""
        return self._layers.get(container_id, system)

    def get_layer_mount_id(self, container_id: str, system: str = LINUX) -> str:
        """Return the name of its mount."""
        return self._layers.get(container_id, system).record.mount_id

    def release_layer(self, container_id: str, system: str = LINUX) -> None:
        """Remove a container's read-write layer; see `ImageLayers.release`."""
        self._layers.release(container_id, system)

    def get_container_layer_size(self, container_id: str) -> tuple[int, int]:
        """Return what a container has written, and that with its image, in bytes; see `ImageLayers.sizes`."""
        return self._layers.sizes(container_id)

    def layer_disk_usage(self) -> int:
        """Return how many bytes images' layers have, each layer counted once (moby-behaviour 1.4)."""
        return layer_disk_usage(self._stores)

    def layer_store_status(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Return what there is to know of each layer store, by operating system."""
        return self._layers.status()

    def graph_driver_for_os(self, system: str = LINUX) -> str:
        """Return the name of what mounts layers."""
        return self._layers.driver(system)

    def cleanup(self) -> None:
        """Unmount what this process has mounted; called at shutdown."""
        self._layers.cleanup()

    # --- registries ---------------------------------------------------------------------------------------------

    def distribution_services(self) -> DistributionServices:
        """Return what others need to pull by themselves."""
        stores = self._stores
        return DistributionServices(
            download_manager=self._pulls,
            metadata=stores.metadata,
            layer_store=stores.layers,
            image_store=stores.images,
            reference_store=stores.references,
        )

    async def pull_image(
        self,
        reference: Reference,
        report: Report,
        *,
        platform: Platform | None = None,
        login: Credentials | None = None,
        mirrors: tuple[str, ...] = (),
        insecure: tuple[str, ...] = (),
    ) -> PullDone:
        """Bring an image, complete and verified; see `pull_request`, and `Puller.pull`."""
        return await self._pulls.pull(self.pull_request(reference, platform, login, mirrors, insecure), report)

    def pull_request(
        self,
        reference: Reference,
        platform: Platform | None = None,
        login: Credentials | None = None,
        mirrors: tuple[str, ...] = (),
        insecure: tuple[str, ...] = (),
    ) -> PullRequest:
        """Return what to ask for an image.

        Args:
            reference: Its name.
            platform: None for the machine's own.
            login: Who asks; None for what this machine knows.
            mirrors: URLs that stand in for its registry, before those that are set.
            insecure: Registries that may be asked without verified TLS, besides those that are set.
        """
        request = self._config.registry_service.request(reference, platform, login)
        return msgspec.structs.replace(
            request, mirrors=(*mirrors, *request.mirrors), insecure=request.insecure.including(insecure)
        )

    async def push_image(
        self,
        reference: Reference,
        report: PushReport,
        *,
        platform: Platform | None = None,
        login: Credentials | None = None,
        insecure: Sequence[str] = (),
    ) -> list[PushDone]:
        """Bring an image to its registry, or every tag of a repository where none is named; see `ImagePusher`.

        Hosts in `insecure` may be asked without verified TLS, besides those that are set.
        """
        pusher = self.upload_manager
        allowed = self._config.registry_service.insecure().including(insecure)
        request = PushRequest(reference, platform, allowed, login)
        if reference.tag:
            return [await pusher.push(request, report)]
        return await pusher.push_all(request, report)

    def get_repository(
        self,
        reference: Reference,
        login: Credentials | None = None,
        mirrors: tuple[str, ...] = (),
        insecure: tuple[str, ...] = (),
    ) -> Repository:
        """Return the repository that a reference names, to be asked without a pull; see `pull_request`."""
        request = self.pull_request(reference, None, login, mirrors, insecure)
        tools = self._pulls.tools
        return Repository(tools, tools.registry, self._stores.hosts, request)

    async def search_registry_for_images(
        self,
        term: str,
        *,
        limit: int = 0,
        filters: Filters = NO_FILTERS,
        login: Credentials | None = None,
    ) -> list[FoundRepository]:
        """Return what a registry's index finds; see `search.search`."""
        service = self._config.registry_service
        executors, insecure = self._pulls.tools.executors, service.insecure()
        return await search(
            service.index, executors, term, limit=limit, filters=filters, insecure=insecure, login=login
        )

    async def authenticate(self, host: str, login: Credentials) -> Credentials:
        """Show a login to a registry; return what to save: the same, or the identity token given for it.

        Raises:
            RefusedError: The registry, or its token server, does not accept it.
            RegistryError: It cannot be asked.
        """
        service = self._config.registry_service
        endpoint = own_endpoint(host, service.insecure())
        return await self._pulls.tools.executors.abandonable(partial(service.verify, endpoint, login))

    def update_config(
        self,
        *,
        max_concurrent_downloads: int | None = None,
        max_concurrent_uploads: int | None = None,
        max_download_attempts: int | None = None,
        download_patience: float | None = None,
        max_download_rate: int | None = None,
    ) -> TransferLimits:
        """Change limits while transfers run, all or nothing; see `LiveLimits.update`. In the event loop only."""
        return self._limits.update(
            max_concurrent_downloads=max_concurrent_downloads,
            max_concurrent_uploads=max_concurrent_uploads,
            max_download_attempts=max_download_attempts,
            download_patience=download_patience,
            max_download_rate=max_download_rate,
        )
