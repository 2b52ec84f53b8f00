"""Values that pass between Headway's parts: what is recorded of manifests, layers, images and containers.

Rule: cheap to import and to define; a command that only lists pays for these and not for the interfaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from pathlib import Path

import msgspec

from headway.oci.digest import ChainID, Digest, ImageID


class RawManifest(msgspec.Struct, frozen=True):
    """A manifest or index as it was received; its digest is over exactly these bytes.

    Attributes:
        media_type: From the ``Content-Type`` header, or from the store.
        data: The bytes.
        digest: Digest of `data`.
    """

    media_type: str
    data: bytes
    digest: Digest


class LayerReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What applying a layer's tar found out that the tree alone does not say.

    Names are relative, ``/``-separated, and decoded with surrogateescape.

    Attributes:
        size: Sum of the lengths of regular files and symlink targets, hard links once: Docker's layer size
            (moby-behaviour 4.7).
        disk_bytes: Bytes of the blocks that the tree takes up, as du counts them: with its root, hard links once.
        entries: Entries of the tar.
        implicit: Directories that no entry made: they had to exist for something below them. Lower layers say what
            they are, so those are left out that replace what a whiteout hides. Never the root.
        root_entry: Whether an entry described the root directory. Where none did, the root looks as in the layers
            below (as `umoci unpack` leaves it).
        lower_links: Hard links whose target is not in this layer: (name, target).
        real_modes: Entries whose mode had to be widened for a store that is not root's: (name, mode).
        owners: Entries that belong to somebody the store could not give them to: (name, uid, gid); rootless only. What
            is root's is left out: in a rootless store our own files stand for it.
        devices: Device nodes that the store could not make: (name, mode with kind, major, minor); rootless, and a
            layer's own 0:0, which would be a whiteout on disk.
        xattrs: Extended attributes that the store could not set: (name, key, value); rootless, what the file system
            refuses, and overlay's own, which would mean something to a mount.
        members: Names of everything in the tree but directories; 0 where nobody has counted.
    """

    size: int = 0
    disk_bytes: int = 0
    entries: int = 0
    implicit: tuple[str, ...] = ()
    root_entry: bool = False
    lower_links: tuple[tuple[str, str], ...] = ()
    real_modes: tuple[tuple[str, int], ...] = ()
    owners: tuple[tuple[str, int, int], ...] = ()
    devices: tuple[tuple[str, int, int, int], ...] = ()
    xattrs: tuple[tuple[str, str, bytes], ...] = ()
    members: int = 0

    @property
    def stands_alone(self) -> bool:
        """Whether the tree means the same over any lower layers (docs/architecture.md, "Trees")."""
        return not (self.implicit or self.lower_links)


class Tree(msgspec.Struct, frozen=True):
    """A committed tree of files as a driver stacks it.

    Attributes:
        path: Its directory; overlay2's on-disk form (whiteouts 0:0, opaque xattr).
        report: What is known of it beyond its files.
    """

    path: Path
    report: LayerReport


class ChainSize(msgspec.Struct, frozen=True):
    """What a chain's top layer adds to the chain below.

    Attributes:
        parent: The chain below; None for a bottom layer.
        size: The top layer's size as Docker counts it (`LayerReport.size`), in bytes.
    """

    parent: ChainID | None
    size: int


class LayerBlob(msgspec.Struct, frozen=True):
    """A blob that holds a layer, where it was seen.

    Attributes:
        digest: Of the blob.
        repository: The repository it was in, spelled out: ``docker.io/library/alpine``.
    """

    digest: Digest
    repository: str


class TarParts(msgspec.Struct, frozen=True):
    """What a layer's exact tar can be made from again.

    Attributes:
        tree: Its own tree, as it was unpacked.
        recipe: What the tree does not hold.
    """

    tree: Path
    recipe: Path


def recipe_beside(directory: Path) -> Path:
    """Return where the recipe of a layer lies while the layer is unpacked into the private `directory`."""
    return directory.with_name(f"{directory.name}.recipe")


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One image, as lists need it, so that listing reads no config.

    Attributes:
        image_id: Digest of its config, whose bytes are a blob.
        created: When it was built, RFC 3339 as the config writes it; empty where it does not.
        size: Sum of its layers' sizes as Docker counts (`LayerReport.size`), in bytes.
        platform: ``os/arch[/variant]``.
        chain_id: Its top chain; None where it has no layers.
        manifest: Digest of the platform's manifest it came with, a blob; None where it came without.
        last_tagged: When it was tagged here, seconds since the epoch; 0 after a pull (moby-behaviour 5.1).
        labels: Its config's labels; None where the record is older than they are in records: the config knows them.
        parent: The image it was made from here; a pull knows none (moby-behaviour 5.1).
    """

    image_id: ImageID
    created: str
    size: int
    platform: str
    chain_id: ChainID | None
    manifest: Digest | None = None
    last_tagged: float = 0.0
    labels: Mapping[str, str] | None = None
    parent: ImageID | None = None


class Freed(msgspec.Struct, frozen=True, kw_only=True):
    """What has no record any more, or never had one, and whose files are to go.

    Attributes:
        chains: Chains that were forgotten, each before the one below it.
        directories: Trees, by the names of their directories; their recipes go with them.
        recipes: Recipes that have no tree.
        blobs: Committed blobs.
        ingests: Unfinished blobs.
        size: Sum of the chains' layers as Docker counts (`LayerReport.size`), in bytes.
        disk_bytes: What the disk gets back once the files are gone.
    """

    chains: tuple[ChainID, ...] = ()
    directories: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    blobs: tuple[Digest, ...] = ()
    ingests: tuple[Digest, ...] = ()
    size: int = 0
    disk_bytes: int = 0


class FoundRepository(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry's index found.

    Attributes:
        name: As the index spells it.
        description: One line.
        star_count: How many like it.
        is_official: Whether Docker itself looks after it.
        is_automated: Whether Docker Hub builds it.
    """

    name: str
    description: str = ""
    star_count: int = 0
    is_official: bool = False
    is_automated: bool = False


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to an image, a container or the daemon (moby-behaviour 8).

    Attributes:
        sequence: Its number in the log; each is one more than the one before.
        time_nano: When, nanoseconds since the epoch.
        type: ``image``, ``container``, ``daemon``.
        action: ``pull``, ``tag``, ``untag``, ``delete`` and so on.
        actor: Whom it happened to: an ID or a familiar name; empty where it is nobody in particular.
        attributes: What else there is to know: labels, ``name``, ``reclaimed``.
    """

    sequence: int
    time_nano: int
    type: str
    action: str
    actor: str
    attributes: Mapping[str, str]


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
        """The kernel's own, beside `upper`."""
        return self.path / "work"

    @property
    def merged(self) -> Path:
        """Where it is mounted; with vfs, the container's files themselves."""
        return self.path / "merged"


class RwLayerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A container's read-write layer.

    Attributes:
        name: Its container's ID.
        mount_id: 64 hex digits: what its directory is called.
        chain_id: What is below it; None for no layers.
        driver: The name of the driver that made it, the only one that can mount it.
        init_report: What is known of its init layer's tree; None where it has none.
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
        target: Where.
        image_id: Of which image; None where its container has none.
        chain_id: Its layers, which stay as long as it is mounted; None for no layers.
        driver: The name of the driver that mounted it.
        rw_layer: The read-write layer that takes what is written; None for a read-only mount.
        count: How often it was asked for, less how often it was given back.
        place: Boot and mount namespace it was mounted in: elsewhere nobody can tell whether it still is.
    """

    target: Path
    image_id: ImageID | None
    chain_id: ChainID | None
    driver: str
    rw_layer: str | None = None
    count: int = 1
    place: str = ""


class ContainerState(StrEnum):
    """What becomes of a container; Headway runs none."""

    CREATED = "created"
    DEAD = "dead"
    """Its removal has failed, and can be tried again."""
    REMOVING = "removing"


class ContainerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One container.

    Attributes:
        container_id: 64 hex digits; what its read-write layer is called, too.
        name: Without the slash that the Engine API puts before it.
        image_id: The image it was created from; None for none (moby-behaviour 6.18).
        image: That image as it was spelled.
        created_nano: When, nanoseconds since the epoch.
        config: The container's config, JSON, as given.
        host_config: The same for the host's side of it.
        platform: ``os/arch[/variant]`` of the image.
        mount_label: SELinux label; recorded only.
        state: What becomes of it.
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
        name: Last component of the path that was asked for; ``/`` for the root.
        mode: ``st_mode``, kind and permission bits.
        size: Its length in bytes.
        mtime_ns: Time of its last change, nanoseconds since the epoch.
        link_target: Where a symlink leads in the end, as an absolute path inside the root; else empty.
    """

    name: str
    mode: int
    size: int
    mtime_ns: int
    link_target: str = ""
