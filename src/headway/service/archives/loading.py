"""Loads images from an archive: `docker load` (moby-behaviour 6.12).

Rule 1: the archive is read once, front to back. A layer is unpacked as it is read. Only if nothing says yet which layer
        it is, is it spooled first, so that no layer is unpacked that is here already.
Rule 2: a layer is known by its bytes, never by a name: its tree is committed under the diff ID that was computed.
Rule 3: everything is verified before anything is listed; all images of an archive are one commit.
Rule 4: a load that fails removes what it brought; what a killed load brought is there for the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeAlias

import msgspec

from headway.errors import HeadwayError, InvalidArchiveError, NotFoundError, StoreError, UnsupportedError
from headway.interfaces.archives import Archive
from headway.interfaces.garbage import Lease
from headway.oci.archive_names import config_digest
from headway.oci.archived import ArchivedImage, Read, archived_images, check_size
from headway.oci.digest import ChainID, Digest, ImageID, chain_ids
from headway.oci.image_archive import blob_name, made_manifest, tar_descriptor
from headway.oci.image_config import ImageConfig, check_depth
from headway.oci.manifest import Manifest
from headway.oci.platform import Platform, is_satisfied_by
from headway.oci.reference import Reference
from headway.records import LayerBlob
from headway.service.archives.archived_layers import ArchivedLayers, Taker
from headway.service.images.recording import record_image
from headway.service.images.tagging import put_tag
from headway.service.stores import Stores

_SUBJECT = Digest.of(b"")


class LayerLoading(msgspec.Struct, frozen=True):
    """Progress of reading a layer from the archive.

    Attributes:
        name: Name of its file.
        done: Bytes of it that were read.
        size: Bytes of it in all.
    """

    name: str
    done: int
    size: int


class Renamed(msgspec.Struct, frozen=True):
    """A tag now refers to another image.

    Attributes:
        name: The tag.
        before: The image that it referred to.
    """

    name: Reference
    before: ImageID


class Loaded(msgspec.Struct, frozen=True):
    """An image was loaded.

    Attributes:
        image_id: Its ID.
        names: Its tags in the archive.
    """

    image_id: ImageID
    names: tuple[Reference, ...]


LoadEvent: TypeAlias = LayerLoading | Renamed | Loaded
Tell: TypeAlias = Callable[[LoadEvent], None]


class _Checked(msgspec.Struct, frozen=True, kw_only=True):
    """An image whose layers are all here, as its archive and its config describe it."""

    archived: ArchivedImage
    data: bytes
    config: ImageConfig


class Loader:
    """Loads images from archives.

    Args:
        stores: Where images go.
        taker: Takes layers into the store.
        host: This machine's platform.
    """

    def __init__(self, stores: Stores, taker: Taker, host: Platform) -> None:
        self._stores = stores
        self._taker = taker
        self._host = host

    def load(self, archive: Archive, tell: Tell, *, platform: Platform | None = None) -> list[Loaded]:
        """Load every image of an archive, complete and verified, and give the images their names in it.

        After an error, nothing of the archive is listed.

        Args:
            archive: The archive.
            tell: Called with each event.
            platform: Which platform of a multi-platform image to load; None for this machine's, or the only one.

        Raises:
            InvalidArchiveError: It is no archive of images, is broken, or lacks something that it names.
            InvalidDocumentError: A manifest or config in it is not valid.
            InvalidLayerError: A layer in it cannot be unpacked.
            NotFoundError: It has nothing for `platform`.
            UnsupportedError: It is for another operating system, or too old.
            StoreError: The disk failed.
        """
        with self._leased() as lease:
            layers = ArchivedLayers(self._stores, self._taker, lease, lambda *layer: tell(LayerLoading(*layer)))

            def images(read: Read) -> list[ArchivedImage]:
                return archived_images(read, platform, self._host)

            layers.take_all(archive, images)
            checked = [self._checked(each, layers, platform) for each in images(layers.documents.read)]
            chains = [self._chain(each, lease) for each in checked]
            return self._record(checked, chains, layers, lease, tell)

    @contextmanager
    def _leased(self) -> Iterator[Lease]:
        with self._stores.leases.hold("load", _SUBJECT) as lease:
            try:
                yield lease
            except HeadwayError:
                with self._stores.transaction():
                    lease.drop()
                    freed = self._stores.garbage.forget_unneeded()
                with suppress(StoreError):  # what stays is met again at the next start, and is not what went wrong here
                    self._stores.garbage.sweep(freed)
                raise

    def _checked(self, archived: ArchivedImage, layers: ArchivedLayers, platform: Platform | None) -> _Checked:
        data = layers.documents.read(archived.config)
        if data is None:
            raise InvalidArchiveError(f"the config {archived.config!r} is missing")
        promised = config_digest(archived.config)
        if promised is not None and Digest.of(data, promised.algorithm) != promised:
            raise InvalidArchiveError(f"the config {archived.config!r} is not what its digest says")
        config = ImageConfig.parse(data)
        if config.platform.os != self._host.os:
            raise UnsupportedError(f"cannot load {config.platform.os} image on {self._host.os}")
        if platform is not None and not is_satisfied_by(platform, config.platform):
            raise NotFoundError("platform", f"{platform} in the archive", f"it holds one for {config.platform}")
        check_depth(len(config.diff_ids))
        if len(archived.layers) != len(config.diff_ids):
            raise InvalidArchiveError(
                f"invalid manifest, layers length mismatch: expected {len(config.diff_ids)}, got {len(archived.layers)}"
            )
        for position, (name, diff_id) in enumerate(zip(archived.layers, config.diff_ids, strict=True)):
            layers.require(name, diff_id, position)
        if archived.manifest is not None:
            _check_sizes(archived.manifest, layers)
        return _Checked(archived=archived, data=data, config=config)

    def _chain(self, checked: _Checked, lease: Lease) -> ChainID | None:
        diff_ids = checked.config.diff_ids
        manifest = checked.archived.manifest
        lease.add([checked.config.image_id, *diff_ids, *chain_ids(diff_ids), *([manifest.digest] if manifest else ())])
        self._stores.blobs.put(checked.config.image_id, checked.data)
        return self._stores.layers.commit_chain(diff_ids)

    # The end

    def _record(
        self,
        checked: Sequence[_Checked],
        chains: Sequence[ChainID | None],
        layers: ArchivedLayers,
        lease: Lease,
        tell: Tell,
    ) -> list[Loaded]:
        own = {each.config.image_id: _own_manifest(each) for each in checked}
        for manifest in filter(None, own.values()):
            self._stores.blobs.put(manifest.digest, manifest.data)
        events: list[LoadEvent] = []
        with self._stores.transaction():
            for each, chain_id in zip(checked, chains, strict=True):
                self._put(each, chain_id, own[each.config.image_id], layers)
            for each in checked:
                events += self._name(each, own.keys())
            lease.drop()
        for event in events:
            tell(event)
        return [event for event in events if isinstance(event, Loaded)]

    def _put(
        self, checked: _Checked, chain_id: ChainID | None, manifest: Manifest | None, layers: ArchivedLayers
    ) -> None:
        stores, config = self._stores, checked.config
        if manifest is None:
            record_image(stores, config, chain_id)
            return
        kept = [layer.digest for layer in manifest.layers if stores.blobs.size(layer.digest) is not None]
        record_image(stores, config, chain_id, manifest.digest, kept)
        for repository in {name.repository for name in checked.archived.names}:
            for diff_id, layer in zip(config.diff_ids, manifest.layers, strict=True):
                if layers.was_computed(diff_id, layer.digest):
                    stores.metadata.remember(diff_id, LayerBlob(layer.digest, repository))

    def _name(self, checked: _Checked, loaded: Collection[ImageID]) -> list[LoadEvent]:
        stores, image_id = self._stores, checked.config.image_id
        parent = checked.archived.parent
        if parent is not None and parent in loaded:  # an image that happens to be here already makes no difference
            self._set_parent(checked, ImageID(parent))
        put = [(name, put_tag(stores, name, image_id)) for name in checked.archived.names]
        stores.events.tell_of_image("load", image_id, image_id, stores.images.get(image_id))
        renamed = [Renamed(name, before) for name, before in put if before is not None]
        return [*renamed, Loaded(image_id, checked.archived.names)]

    def _set_parent(self, checked: _Checked, parent: ImageID) -> None:
        """Record the parent that the archive names, if it can be one (moby-behaviour 6.12)."""
        history = ImageConfig.parse(self._stores.blobs.read(parent)).history
        if history != checked.config.history[:-1] or not checked.config.history:
            raise InvalidArchiveError(f"image {parent} is not a valid parent for {checked.config.image_id}")
        record = self._stores.images.get(checked.config.image_id)
        if record is not None:
            self._stores.images.put(msgspec.structs.replace(record, parent=parent))


def _check_sizes(manifest: Manifest, layers: ArchivedLayers) -> None:
    for blob in (manifest.config, *manifest.layers):
        check_size(blob, layers.size(blob_name(blob.digest)))


def _own_manifest(checked: _Checked) -> Manifest | None:
    """Return the manifest if it is worth keeping: if it says more than follows from the config and the tars."""
    manifest, config = checked.archived.manifest, checked.config
    if manifest is None or manifest.config.digest != config.image_id:
        return None
    if tuple(layer.digest for layer in manifest.layers) != config.diff_ids:
        return manifest
    tars = [
        tar_descriptor(diff_id, layer.size) for diff_id, layer in zip(config.diff_ids, manifest.layers, strict=True)
    ]
    made = made_manifest(config.image_id, len(checked.data), tars)
    return None if made.digest == manifest.digest else manifest


def sentences(event: Renamed | Loaded) -> list[str]:
    """Return an event in Docker's words, one line for each name, with its newline: clients expect one in each message.

    See moby-behaviour 6.12.
    """
    if isinstance(event, Renamed):
        return [
            f"The image {event.name.familiar} already exists, "
            f"renaming the old one with ID {event.before} to empty string\n"
        ]
    return [f"Loaded image: {name.familiar}\n" for name in event.names] or [f"Loaded image ID: {event.image_id}\n"]
