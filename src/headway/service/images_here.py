"""Images as they are here: the half of the image service that asks no registry (moby-behaviour 1.2).

Rule: nothing is decided here. Each method says what it means and hands over to the module that knows how; any thread
may call it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from headway.container_records import ContainerRecord
from headway.interfaces.archives import Archive
from headway.interfaces.files import TarSource
from headway.interfaces.rw_layers import RwLayer
from headway.oci.digest import ImageID
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.records import Event, ImageRecord
from headway.service.archives.loading import Loaded, Tell
from headway.service.archives.saving import saved
from headway.service.containers.image_layers import LINUX, ImageLayers
from headway.service.creation.commit import CommitRequest, Committer
from headway.service.creation.importing import Importer, ImportRequest
from headway.service.image_service_config import ImageServiceConfig
from headway.service.images.delete import delete_image
from headway.service.images.history import HistoryStep, history_of
from headway.service.images.inspection import ImageDetails, details_of
from headway.service.images.listing import ListedImage, Listing
from headway.service.images.lookup import Lookup
from headway.service.images.prune import Pruner, PruneReport
from headway.service.images.sharing import layer_disk_usage
from headway.service.images.tagging import name_image, tag_image
from headway.service.queries.filters import NO_FILTERS, Filters


class ImagesHere:
    """What is done with the images, layers and events of one data root.

    What methods raise is what the modules raise that they hand over to.
    """

    def __init__(self, config: ImageServiceConfig) -> None:
        self._config = config
        self._stores = config.stores
        self._lookup = Lookup(config.stores)
        self._layers = ImageLayers(config.stores, config.place)
        self._pruner = Pruner(config.stores)

    @property
    def daemon_id(self) -> str:
        """The ID of the daemon's own key, as ``docker info`` shows it."""
        return self._config.trust_key.key_id

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
