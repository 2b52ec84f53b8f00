"""Containers and lasting mounts, in memory. They pass the same contract suites as those on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from headway.container_records import ContainerRecord, KeptMount
from headway.errors import AmbiguousNameError, ConflictError, NotFoundError
from headway.oci.digest import ImageID


class MemoryContainerStore:
    """`ContainerStore` as a dict."""

    def __init__(self) -> None:
        self._containers: dict[str, ContainerRecord] = {}

    def get(self, word: str) -> ContainerRecord:
        if word in self._containers:
            return self._containers[word]
        named = self.first(lambda container: container.name == word.removeprefix("/"))
        if named is not None:
            return named
        begin = [container for container in self._containers.values() if container.container_id.startswith(word)]
        if not word or not begin:
            raise NotFoundError("container", word)
        if len(begin) > 1:
            raise AmbiguousNameError(word)
        return begin[0]

    def first(self, wanted: Callable[[ContainerRecord], bool]) -> ContainerRecord | None:
        return next(filter(wanted, self.list()), None)

    def of_image(self, image_id: ImageID) -> list[ContainerRecord]:
        return [container for container in self.list() if container.image_id == image_id]

    def add(self, container: ContainerRecord) -> None:
        self._require_free(container)
        self._containers[container.container_id] = container

    def replace(self, container: ContainerRecord) -> None:
        self._require_free(container)
        if container.container_id not in self._containers:
            raise NotFoundError("container", container.container_id)
        self._containers[container.container_id] = container

    def _require_free(self, container: ContainerRecord) -> None:
        taken = self.first(lambda other: other.name == container.name and other.container_id != container.container_id)
        if taken is not None:
            raise ConflictError(
                f'Conflict. The container name "/{container.name}" is already in use by container'
                f' "{taken.container_id}". You have to remove (or rename) that container to be able to reuse that name.'
            )

    def delete(self, container_id: str) -> None:
        self._containers.pop(container_id, None)

    def list(self) -> list[ContainerRecord]:
        return sorted(self._containers.values(), key=lambda each: (-each.created_nano, each.container_id))


class MemoryMountTable:
    """`MountTable` as a dict."""

    def __init__(self) -> None:
        self._mounts: dict[Path, KeptMount] = {}

    def put(self, mount: KeptMount) -> None:
        self._mounts[mount.target] = mount

    def get(self, target: Path) -> KeptMount | None:
        return self._mounts.get(target)

    def delete(self, target: Path) -> None:
        self._mounts.pop(target, None)

    def of_image(self, image_id: ImageID) -> list[KeptMount]:
        return [mount for mount in self.list() if mount.image_id == image_id]

    def list(self) -> list[KeptMount]:
        return [self._mounts[target] for target in sorted(self._mounts)]
