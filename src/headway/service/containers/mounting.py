"""Mounts and unmounts by name, for a command that works here and for one that asks the daemon."""

from __future__ import annotations

from pathlib import Path

import msgspec

from headway.container_records import KeptMount
from headway.errors import NotFoundError, NotMountedError
from headway.service.containers.containers import Containers
from headway.service.containers.mounts import Mounts
from headway.service.stores import Records, Stores


class Mounted(msgspec.Struct, frozen=True, kw_only=True):
    """A mount as a list shows it.

    Attributes:
        target: Where.
        image: The image's short ID; empty where there is none.
        container: The name of the container that takes what is written; empty for a read-only mount.
        driver: The name of what mounted it.
        count: How often it has to be given back until it is unmounted; 0 says that it is.
    """

    target: Path
    image: str
    container: str
    driver: str
    count: int


class Mounting:
    """Mounts by names, and tells of it in names."""

    def __init__(self, mounts: Mounts, stores: Stores) -> None:
        self._mounts = mounts
        self._stores = stores

    def mount(self, word: str, directory: Path | None, *, read_write: bool) -> Mounted:
        """See `Mounts.mount`."""
        return shown(self._mounts.mount(word, directory, read_write=read_write), self._stores)

    def unmount(self, word: str, place: Path, *, remove: bool) -> Mounted | None:
        """Give a mount back; return what is left of it, None where only a container was removed.

        Args:
            word: As for `Mounts.unmount`.
            place: What `word` is as a path, for who asks; it wins where something is mounted there.
            remove: Whether a container goes with its mount, or by itself where it has none.

        Raises:
            NotMountedError: Nothing is mounted there, or by that name; and it is no container that could be removed.
            HeadwayError: As for `Mounts.unmount` and `Containers.remove`.
        """
        name = str(place) if self._stores.mounts.get(place) is not None else word
        try:
            left = self._mounts.unmount(name)
        except NotMountedError as nothing:
            if not remove:
                raise
            self._remove(word, nothing)
            return None
        answer = shown(left, self._stores)
        if remove and not left.count and left.rw_layer is not None:
            Containers(self._stores).remove(left.rw_layer)
        return answer

    def _remove(self, word: str, nothing: NotMountedError) -> None:
        try:
            Containers(self._stores).remove(word)
        except NotFoundError:
            raise nothing from None


def mounted(stores: Stores) -> list[Mounted]:
    """Return everything that is mounted, by target."""
    return [shown(mount, stores) for mount in stores.mounts.list()]


def shown(mount: KeptMount, records: Records) -> Mounted:
    """Return a mount in names."""
    return Mounted(
        target=mount.target,
        image=mount.image_id.short if mount.image_id else "",
        container=_container(mount.rw_layer, records) if mount.rw_layer else "",
        driver=mount.driver,
        count=mount.count,
    )


def _container(name: str, records: Records) -> str:
    try:
        return records.containers.get(name).name
    except NotFoundError:
        return ""
