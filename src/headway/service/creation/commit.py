"""`docker commit`: an image made from a container's changes (moby-behaviour 6.17).

Rule 1: the request is checked before anything is made; Docker, given a bad name, leaves an image without one behind.
Rule 2: a container without changes gets no new layer, only one more step in the history.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import msgspec

from headway.container_records import Change, ChangeKind, ContainerRecord, ContainerState
from headway.errors import ConflictError, RequestError, UnsupportedError
from headway.interfaces.container_files import FileAccess
from headway.interfaces.files import Applier, Pieces
from headway.interfaces.rw_layers import RwLayer
from headway.oci.digest import DiffID, ImageID
from headway.oci.image_config import ImageConfig
from headway.oci.instructions import apply_changes
from headway.oci.made_image import Made, committed_image
from headway.oci.moment import rfc3339
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.oci.run_config import checked, merge
from headway.records import ImageRecord
from headway.service.containers.containers import tell_of
from headway.service.creation.making import ImageMaker, Plan
from headway.service.images.lookup import Lookup
from headway.service.images.tagging import name_image, tag_name
from headway.service.stores import Stores


class CommitRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to commit a container.

    Attributes:
        container: Its ID or its name.
        repository: Name of the image, with or without a tag; empty for an image without a name.
        tag: Tag of the image; empty for the one in `repository`, or ``latest``.
        author: Who makes the image.
        comment: Why, in the author's words.
        config: Config of containers of the image; None for that of the container.
        changes: Dockerfile instructions that are applied to that config.
    """

    container: str
    repository: str = ""
    tag: str = ""
    author: str = ""
    comment: str = ""
    config: dict[str, Any] | None = None
    changes: Sequence[str] = ()


class Committer:
    """Makes images of containers.

    Args:
        stores: Where containers and images are.
        applier: Unpacks a layer, and records its recipe.
        access: Makes a tar of a container's changes.
        platform: This machine's, for the image of a container that has no image itself.
        clock: Nanoseconds since the epoch.
    """

    def __init__(
        self,
        stores: Stores,
        applier: Applier,
        access: FileAccess,
        platform: Platform,
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._stores = stores
        self._lookup = Lookup(stores)
        self._maker = ImageMaker(stores, applier)
        self._access = access
        self._platform = platform
        self._clock = clock

    def commit(self, request: CommitRequest) -> ImageID:
        """Make an image of a container and return its ID; this blocks.

        Raises:
            RequestError: No container is named, or the config is not valid.
            NotFoundError: There is no such container, or its image is gone.
            ConflictError: The container is being removed, or its removal has failed.
            InvalidReferenceError: Repository or tag is not a valid name.
            InvalidChangeError: An instruction that cannot be applied.
            UnsupportedError: The image would have more layers than can be mounted; or a changed file has an owner or a
                mode that a rootless store could not give it.
            StoreError: The disk failed, or the container cannot be mounted.
        """
        container = self._container(request.container)
        name = tag_name(request.repository, request.tag) if request.repository else None
        plan = self._plan(request, container, name)
        layer = self._stores.rw_layers.get(container.container_id)
        changes = layer.changes(written=True)
        self._check_metadata(layer, changes)
        source = Pieces(self._tar(layer, changes)) if changes else None
        try:
            return self._maker.make(plan, source).image_id
        finally:
            if source is not None:
                source.close()

    def _container(self, word: str) -> ContainerRecord:
        if not word:
            raise RequestError('invalid name or ID supplied: ""')
        container = self._stores.containers.get(word)
        if container.state is ContainerState.DEAD:
            raise ConflictError(f"You cannot commit container {container.container_id} which is Dead")
        if container.state is ContainerState.REMOVING:
            raise ConflictError(f"You cannot commit container {container.container_id} which is being removed")
        return container

    def _plan(self, request: CommitRequest, container: ContainerRecord, name: Reference | None) -> Plan:
        parent = self._parent(container)
        own = _config_of(container)
        given = own if request.config is None else checked(request.config)
        config = merge(apply_changes(given, request.changes), own)

        def written(diff_id: DiffID | None) -> bytes:
            made = Made(
                created=rfc3339(self._clock()),
                author=request.author,
                created_by=" ".join(own.get("Cmd") or []),
                comment=request.comment,
            )
            return committed_image(
                parent,
                diff_id,
                config=config,
                container=own,
                container_id=container.container_id,
                platform=self._platform,
                made=made,
            )

        def recorded(record: ImageRecord) -> None:
            if name is not None:
                name_image(self._stores, record.image_id, name)
            self._tell(container, record, request.comment, name)

        return Plan(
            purpose="commit",
            below=parent.diff_ids if parent is not None else (),
            parent=container.image_id,
            config=written,
            recorded=recorded,
        )

    def _parent(self, container: ContainerRecord) -> ImageConfig | None:
        """Return the config of the image that a container was made from.

        Raises:
            NotFoundError: The image was removed by force.
        """
        if container.image_id is None:
            return None
        return self._lookup.config(self._lookup.find(str(container.image_id)))

    def _check_metadata(self, layer: RwLayer, changes: Sequence[Change]) -> None:
        """Refuse a layer that would lose owners or modes which a rootless store records but could not set on disk."""
        hidden: set[str] = set()
        for tree in self._stores.layers.trees(layer.record.chain_id):
            hidden.update(name for name, _, _ in tree.report.owners)
            hidden.update(name for name, _ in tree.report.real_modes)
        for change in changes:
            if change.kind is not ChangeKind.DELETED and change.path.removeprefix("/") in hidden:
                raise UnsupportedError(
                    f"cannot commit {change.path}: the image gives it an owner or a mode that this store, which is not "
                    "root's, cannot show and a new layer would take away: commit it in a store of root's"
                )

    def _tar(self, layer: RwLayer, changes: list[Change]) -> Generator[bytes, None, None]:
        root = layer.mount()
        try:
            yield from self._access.changes(root, changes)
        finally:
            layer.unmount()

    def _tell(self, container: ContainerRecord, image: ImageRecord, comment: str, name: Reference | None) -> None:
        attributes = {
            "comment": comment,
            "imageID": image.image_id,
            "imageRef": name.with_default_tag().familiar if name is not None else "",
        }
        tell_of(self._stores, "commit", container, attributes)


def _config_of(container: ContainerRecord) -> dict[str, Any]:
    """Return a container's config as Docker keeps it: with the host name that a running container would have."""
    config: Mapping[str, Any] = msgspec.json.decode(container.config)
    return {**config, "Hostname": config.get("Hostname") or container.container_id[:12]}
