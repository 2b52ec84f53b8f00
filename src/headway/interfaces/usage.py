"""What a data root takes up on the disk, as du counts it."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from headway.oci.digest import DiffID, Digest, ImageID


class Kind(StrEnum):
    """What something on the disk is there for; everything below a data root is of one kind."""

    IMAGES = "Images"
    CONTAINERS = "Containers"
    UNFINISHED = "Unfinished downloads"
    RECIPES = "Recipes"
    DATABASE = "Database"
    OTHER = "Other"


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What one kind takes up.

    Attributes:
        count: How many images, containers and so on.
        active: How many of them are in use.
        disk_bytes: All of it.
        reclaimable: What of it would go: images and their recipes with ``prune -a``, unfinished downloads with
            ``prune --unfinished``, the rest with any prune.
    """

    count: int = 0
    active: int = 0
    disk_bytes: int = 0
    reclaimable: int = 0


class ImageUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What one image takes up.

    Attributes:
        image_id: Its ID.
        shared: Bytes that somebody else needs as well.
        unique: Bytes that go with it.
        containers: How many read-write layers and mounts stand on it.
    """

    image_id: ImageID
    shared: int
    unique: int
    containers: int


class LayerUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What one layer takes up.

    Attributes:
        diff_id: Its name.
        size: As Docker counts it (`LayerReport.size`).
        disk_bytes: Its tree, its recipe, and what was derived of it.
        images: How many images have it.
    """

    diff_id: DiffID
    size: int
    disk_bytes: int
    images: int


class DownloadUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What one unfinished download takes up.

    Attributes:
        digest: What it will be.
        disk_bytes: So far.
    """

    digest: Digest
    disk_bytes: int


class ContainerUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What one read-write layer takes up.

    Attributes:
        name: Its container's ID.
        disk_bytes: What was written, and its init layer.
    """

    name: str
    disk_bytes: int


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole data root takes up.

    Attributes:
        kinds: By kind, all of them.
        images: One by one, newest first.
        layers: One by one, largest first.
        containers: Read-write layers, by name.
        downloads: Unfinished ones, by digest.
        dangling: What ``prune`` alone would free.
        everything: What ``prune -a`` would free.
        unfinished: What ``--unfinished`` would free besides.
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
        """What ``du -s`` says of the data root, in bytes."""
        return sum(share.disk_bytes for share in self.kinds.values())


class DiskUsage(Protocol):
    """Says what takes up how much. No tree is walked: what it takes is recorded with it.

    Read-write layers are walked, since nobody tells what is written into them.
    """

    def measure(self) -> Usage:
        """Return what is taken up now.

        Raises:
            StoreError: The disk failed.
        """
