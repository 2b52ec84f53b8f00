"""The image service: Moby's `ImageService` (daemon/images, September 2019) in Headway's words.

Rule: nothing is decided here. Each method says what it means and hands over to the module that knows how
(moby-behaviour 1.2 has the methods; docs/moby-parity.md says where they differ, and which test shows it).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Self

import msgspec

from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import own_endpoint
from headway.distribution.transfer_limits import TransferLimits
from headway.distribution.web_file import web_endpoint
from headway.errors import OutOfOrderError
from headway.interfaces.distribution import DistributionMetadata
from headway.interfaces.images import ImageStore, ReferenceStore
from headway.interfaces.layers import LayerStore
from headway.oci.digest import ImageID
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.records import FoundRepository
from headway.service.creation.importing import Importer, ImportRequest
from headway.service.creation.web_import import Watch, WebImporter
from headway.service.image_service_config import ImageServiceConfig
from headway.service.images_here import ImagesHere
from headway.service.limits.live_limits import LiveLimits
from headway.service.pulling.pull import Puller
from headway.service.pushing.progress import PushDone, PushReport
from headway.service.pushing.push import ImagePusher, PushRequest
from headway.service.queries.filters import NO_FILTERS, Filters
from headway.service.registries.remote_image import PullRequest
from headway.service.registries.repository import Repository
from headway.service.registries.search import search
from headway.service.transfers.progress import PullDone, Report

log = logging.getLogger(__name__)


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


class ImageService(ImagesHere):
    """Everything that is done with images: here, and inside ``async with`` at registries, too.

    What methods raise is what the modules raise that they hand over to.

    Raises:
        InvalidSettingError: A limit that cannot be.
    """

    def __init__(self, config: ImageServiceConfig) -> None:
        super().__init__(config)
        self._limits = LiveLimits(config.limits)
        limits = self._limits.current
        log.debug("Max Concurrent Downloads: %d", limits.max_concurrent_downloads)
        log.debug("Max Concurrent Uploads: %d", limits.max_concurrent_uploads)
        log.debug("Max Download Attempts: %d", limits.max_download_attempts)
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

    @property
    def limits(self) -> TransferLimits:
        """The limits in force."""
        return self._limits.current

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
