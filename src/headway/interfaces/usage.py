"""How much disk space a data root takes, as du counts it."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from headway.oci.digest import DiffID, Digest, ImageID


class Kind(StrEnum):
    """Kinds of files; everything below a data root belongs to one of them."""

    IMAGES = "Images"
    CONTAINERS = "Containers"
    UNFINISHED = "Unfinished downloads"
    RECIPES = "Recipes"
    DATABASE = "Database"
    OTHER = "Other"


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """The disk space of one kind.

    Attributes:
        count: How many images, containers and so on there are.
        active: How many of them are in use.
        disk_bytes: Bytes of disk space.
        reclaimable: Bytes of it that a prune would free: images and their recipes with ``prune -a``, unfinished
            downloads with ``prune --unfinished``, the rest with any prune.
    """

    count: int = 0
    active: int = 0
    disk_bytes: int = 0
    reclaimable: int = 0


class ImageUsage(msgspec.Struct, frozen=True, kw_only=True):
    """The disk space of one image.

    Attributes:
        image_id: Its ID.
        shared: Bytes that others need as well.
        unique: Bytes that removing it would free.
        containers: How many read-write layers and mounts use it.
    """

    image_id: ImageID
    shared: int
    unique: int
    containers: int


class LayerUsage(msgspec.Struct, frozen=True, kw_only=True):
    """The disk space of one layer.

    Attributes:
        diff_id: The layer.
        size: Its size as Docker counts it (`LayerReport.size`), in bytes.
        disk_bytes: Bytes of its tree, its recipe, and trees derived from it.
        images: How many images have it.
    """

    diff_id: DiffID
    size: int
    disk_bytes: int
    images: int


class DownloadUsage(msgspec.Struct, frozen=True, kw_only=True):
    """The disk space of one unfinished download.

    Attributes:
        digest: The blob that it will be.
        disk_bytes: Bytes that it takes so far.
    """

    digest: Digest
    disk_bytes: int


class ContainerUsage(msgspec.Struct, frozen=True, kw_only=True):
    """The disk space of one read-write layer.

    Attributes:
        name: ID of its container.
        disk_bytes: Bytes of the files written, and of its init layer.
    """

    name: str
    disk_bytes: int


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """The disk space of a whole data root.

    Attributes:
        kinds: For every kind.
        images: For each image, newest first.
        layers: For each layer, largest first.
        containers: For each read-write layer, sorted by name.
        downloads: For each unfinished download, sorted by digest.
        dangling: Bytes that ``prune`` alone would free.
        everything: Bytes that ``prune -a`` would free.
        unfinished: Bytes that ``--unfinished`` would free in addition.
    """

    kinds: dict[Kind, Share]
    images: tuple[ImageUsage, ...]
    layers: tuple[LayerUsage, ...]
    containers: tuple[ContainerUsage, ...]
    downloads: tuple[DownloadUsage, ...]
    dangling: int
    everything: int
    unfinished: int

    @property
    def total(self) -> int:
        """The sum of all kinds, which is what ``du -s`` reports of the data root, in bytes."""
        return sum(share.disk_bytes for share in self.kinds.values())


class DiskUsage(Protocol):
    """Measures the disk space of a data root. The space of a layer's tree is recorded with it, so trees are not walked.

    Read-write layers are walked, since containers write into them.
    """

    def measure(self) -> Usage:
        """Return the disk space that is taken now.

        Raises:
            StoreError: The disk failed.
        """
