"""Values that pass between Headway's parts: containers, their read-write layers, their files, and mounts.

Rule: as for `records`, cheap to import and to define.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from pathlib import Path

import msgspec

from headway.oci.digest import ChainID, ImageID
from headway.records import LayerReport


class ChangeKind(IntEnum):
    """How a path of a read-write layer differs from what is below it, in Docker's numbers (moby-behaviour 4.9)."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


class Change(msgspec.Struct, frozen=True):
    """One line of `docker diff`.

    Attributes:
        path: Absolute within the container, decoded with surrogateescape.
        kind: What happened to it.
    """

    path: str
    kind: ChangeKind


class RwPlace(msgspec.Struct, frozen=True):
    """The directory of one read-write layer, ``rw/<mount ID>``, and what lies in it.

    Attributes:
        path: The directory itself.
    """

    path: Path

    @property
    def init(self) -> Path:
        """The tree of its init layer, where it has one."""
        return self.path / "init"

    @property
    def upper(self) -> Path:
        """What was written, in overlay2's on-disk form."""
        return self.path / "diff"

    @property
    def work(self) -> Path:
        """The work directory that overlay demands beside `upper`."""
        return self.path / "work"

    @property
    def merged(self) -> Path:
        """The mount point; with vfs, the container's files themselves."""
        return self.path / "merged"


class RwLayerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A container's read-write layer.

    Attributes:
        name: Its container's ID.
        mount_id: 64 hex digits that name its directory.
        chain_id: The image layers below it; None for none.
        driver: Name of the driver that made it, the only one that can mount it.
        init_report: Report of its init layer's tree; None where it has no init layer.
        storage_opt: Docker's ``--storage-opt``.
        mount_label: SELinux label; recorded only.
        is_removing: Whether its removal has begun.
    """

    name: str
    mount_id: str
    chain_id: ChainID | None
    driver: str
    init_report: LayerReport | None = None
    storage_opt: Mapping[str, str] = {}
    mount_label: str = ""
    is_removing: bool = False


class KeptMount(msgspec.Struct, frozen=True, kw_only=True):
    """Something that `headway mount` has mounted.

    Attributes:
        target: The mount point.
        image_id: The image; None for a container that has none.
        chain_id: Its layers, which are kept while it is mounted; None for none.
        driver: Name of the driver that mounted it.
        rw_layer: Name of the read-write layer that takes writes; None for a read-only mount.
        count: How many users it has: requests to mount, less requests to unmount.
        place: Boot and mount namespace it was made in: only there can one tell whether it is still mounted.
    """

    target: Path
    image_id: ImageID | None
    chain_id: ChainID | None
    driver: str
    rw_layer: str | None = None
    count: int = 1
    place: str = ""


class ContainerState(StrEnum):
    """The state of a container. There is no running state, as Headway runs none."""

    CREATED = "created"
    DEAD = "dead"
    """A removal has failed, and can be tried again."""
    REMOVING = "removing"


class ContainerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One container.

    Attributes:
        container_id: 64 hex digits; also the name of its read-write layer.
        name: Without the slash that the Engine API puts in front.
        image_id: The image it was created from; None for none (moby-behaviour 6.18).
        image: That image as the user spelled it.
        created_nano: When it was created, nanoseconds since the epoch.
        config: The container's config, JSON, as given.
        host_config: Docker's host config, JSON, as given.
        platform: ``os/arch[/variant]`` of the image.
        mount_label: SELinux label; recorded only.
        state: Its state.
    """

    container_id: str
    name: str
    image_id: ImageID | None
    image: str
    created_nano: int
    config: str = "{}"
    host_config: str = "{}"
    platform: str = ""
    mount_label: str = ""
    state: ContainerState = ContainerState.CREATED


class FileStat(msgspec.Struct, frozen=True):
    """One file, as lstat(2) sees it.

    Attributes:
        name: Last component of the requested path; ``/`` for the root.
        mode: ``st_mode``: file type and permission bits.
        size: Its length in bytes.
        mtime_ns: Time of its last modification, nanoseconds since the epoch.
        link_target: Where a symlink leads in the end, as an absolute path inside the root; empty for other files.
    """

    name: str
    mode: int
    size: int
    mtime_ns: int
    link_target: str = ""
