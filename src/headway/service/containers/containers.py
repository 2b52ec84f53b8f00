"""Makes and removes containers. In Headway these are a record and a read-write layer; it runs nothing.

Rule 1: record and layer are one commit. The layer is built before the commit, and thrown away if the commit fails.
Rule 2: a removal goes the other way, and can be tried again: the record goes last (moby-behaviour 1.3, 6.19).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock
from typing import TypeVar

import msgspec

from headway.container_records import ContainerRecord, ContainerState
from headway.errors import ConflictError, InvalidNameError, NotFoundError, RequestError, StoreError
from headway.interfaces.rw_layers import RwLayer
from headway.records import ImageRecord
from headway.service.containers.names import made_up_name
from headway.service.containers.rw_layers import release_layer
from headway.service.images.lookup import Lookup
from headway.service.stores import Stores

_T = TypeVar("_T")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")
_TRIES = 6


class HostConfig(msgspec.Struct, rename="pascal"):
    """The part of a host config that Headway reads; the rest is kept and returned unchanged."""

    auto_remove: bool | None = None
    network_mode: str | None = None
    storage_opt: dict[str, str] | None = None


class _Config(msgspec.Struct, rename="pascal"):
    labels: dict[str, str] | None = None


class Containers:
    """Makes, finds and removes containers.

    Args:
        stores: Where containers, their layers and images are.
        clock: Returns nanoseconds since the epoch.
        random: Returns as many random bytes as asked for.
    """

    def __init__(
        self,
        stores: Stores,
        *,
        clock: Callable[[], int] = time.time_ns,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._stores = stores
        self._lookup = Lookup(stores)
        self._clock = clock
        self._random = random
        self._lock = Lock()
        self._removing: set[str] = set()

    def create(
        self,
        image: str,
        *,
        name: str = "",
        config: str = "{}",
        host_config: str = "{}",
        platform: str = "",
    ) -> ContainerRecord:
        """Make a container from an image; a failure leaves nothing of it behind.

        Args:
            image: Name or ID of the image; empty for an empty container.
            name: Its name; empty to make one up.
            config: Its config, JSON; kept unchanged.
            host_config: Its host config, likewise; the ``StorageOpt`` in it is obeyed.
            platform: The platform to record instead of the image's.

        Raises:
            InvalidNameError: The name is not valid for a container.
            NotFoundError: There is no such image.
            ConflictError: The name is taken.
            UnsupportedError: A storage option is unknown, or not possible here.
            StoreError: The disk failed.
        """
        record = self._lookup.find(image) if image else None
        container_id = self._random(32).hex()
        container = ContainerRecord(
            container_id=container_id,
            name=valid_name(name) if name else "",
            image_id=record.image_id if record else None,
            image=image,
            created_nano=self._clock(),
            config=config,
            host_config=host_config,
            platform=platform or (record.platform if record else ""),
        )
        try:
            if container.name:
                self._create(container, record)
                return container
            return self._create_under_free_name(container, record)
        except NotFoundError:
            if image:
                self._lookup.find(image)  # raises if the image was removed meanwhile: that is the better error
            raise

    def _create_under_free_name(self, container: ContainerRecord, image: ImageRecord | None) -> ContainerRecord:
        for number in range(_TRIES):
            named = msgspec.structs.replace(container, name=made_up_name(self._random, number))
            if self._is_taken(named.name):
                continue
            try:
                self._create(named, image)
            except ConflictError:  # another container took the name since it was found to be free
                continue
            return named
        named = msgspec.structs.replace(container, name=container.container_id[:12])
        self._create(named, image)
        return named

    def _create(self, container: ContainerRecord, image: ImageRecord | None) -> None:
        chain_id = image.chain_id if image else None
        storage_opt = storage_options_of(container)
        with (
            self._stores.rw_layers.prepare(
                chain_id, storage_opt=storage_opt, mount_label=container.mount_label
            ) as draft,
            self._stores.transaction(),
        ):
            self._stores.containers.add(container)
            draft.publish(container.container_id)
            tell_of(self._stores, "create", container)

    def _is_taken(self, name: str) -> bool:
        try:
            self._stores.containers.get(name)
        except NotFoundError:
            return False
        return True

    def get(self, word: str) -> ContainerRecord:
        """Return the container with an ID, a name or a prefix of an ID.

        Raises:
            NotFoundError: There is none.
            AmbiguousNameError: Several IDs have the prefix.
        """
        return self._stores.containers.get(word)

    def list(self) -> list[ContainerRecord]:
        """Return all, newest first."""
        return self._stores.containers.list()

    def layer(self, word: str) -> RwLayer:
        """Return a container's read-write layer; raise as `get`, or `MountNotFoundError` if it is gone."""
        return self._stores.rw_layers.get(self.get(word).container_id)

    def rename(self, word: str, name: str) -> ContainerRecord:
        """Give a container another name.

        Raises:
            InvalidNameError: The name is not valid for a container.
            NotFoundError: There is no such container.
            ConflictError: The name is taken.
        """
        with self._stores.transaction():
            container = self.get(word)
            renamed = msgspec.structs.replace(container, name=valid_name(name))
            if renamed.name == container.name:
                raise RequestError("Renaming a container with the same name as its current name")
            self._stores.containers.replace(renamed)
            tell_of(self._stores, "rename", renamed, {"oldName": f"/{container.name}"})
        return renamed

    def remove(self, word: str) -> ContainerRecord:
        """Remove a container and everything written in it; after a failure it is dead, and can be removed again.

        Raises:
            NotFoundError: There is no such container.
            ConflictError: It is mounted, or being removed.
            StoreError: The disk failed, in Moby's words.
        """
        container = self.get(word)
        with self._lock:
            if container.container_id in self._removing:
                raise ConflictError(f"removal of container {word} is already in progress")
            self._removing.add(container.container_id)
        try:
            self._remove(container)
        finally:
            with self._lock:
                self._removing.discard(container.container_id)
        return container

    def _remove(self, container: ContainerRecord) -> None:
        containers = self._stores.containers
        self._stores.garbage.make_room()  # it may be what is written there that fills the disk
        containers.replace(msgspec.structs.replace(container, state=ContainerState.REMOVING))
        try:
            release_layer(self._stores, container.container_id)
        except ConflictError:
            containers.replace(container)
            raise
        except StoreError as error:
            containers.replace(msgspec.structs.replace(container, state=ContainerState.DEAD))
            raise StoreError(f"container {container.container_id}: {error}") from error
        with self._stores.transaction():
            containers.delete(container.container_id)
            tell_of(self._stores, "destroy", container)

    def finish_removals(self) -> None:
        """Remove the containers whose removal a crash has cut short; called at start, behind the layers' own.

        One that is mounted after all, or that the disk keeps, can be removed again: nobody's start fails for it.
        """
        for container in self.list():
            if container.state is ContainerState.REMOVING:
                with suppress(ConflictError, StoreError):
                    self._remove(msgspec.structs.replace(container, state=ContainerState.CREATED))


def tell_of(
    stores: Stores,
    action: str,
    container: ContainerRecord,
    attributes: Mapping[str, str] = {},  # nobody changes it
) -> None:
    """Tell what happened to a container, with `attributes` beside its labels; its image and its name win over both."""
    own = {"image": container.image, "name": container.name}
    stores.events.tell("container", action, container.container_id, {**labels_of(container), **attributes, **own})


def valid_name(name: str) -> str:
    """Return a container's name without the slash that may be before it.

    Raises:
        InvalidNameError: Containers are not called so.
    """
    plain = name.removeprefix("/")
    if not _NAME.match(plain):
        raise InvalidNameError(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    return plain


def labels_of(container: ContainerRecord) -> dict[str, str]:
    """Return a container's labels.

    Raises:
        RequestError: Its config is no JSON object, or its labels are no texts.
    """
    return _decoded(container.config, _Config).labels or {}


def storage_options_of(container: ContainerRecord) -> dict[str, str] | None:
    """Return a container's ``StorageOpt``.

    Raises:
        RequestError: Its host config is none.
    """
    return _decoded(container.host_config, HostConfig).storage_opt


def removes_itself(container: ContainerRecord) -> bool:
    """Tell whether a container was made to be gone once it has run, or could not (``AutoRemove``).

    Raises:
        RequestError: Its host config is none.
    """
    return bool(_decoded(container.host_config, HostConfig).auto_remove)


def _decoded(text: str, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise RequestError(f"a container's config: {error}") from error
