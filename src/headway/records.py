"""Values that pass between Headway's parts: what is recorded of manifests, layers and images, and what happened.

Rule: cheap to import and to define; a command that only lists pays for these and not for the interfaces.
"""

from __future__ import annotations

from collections.abc import Mapping
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

    Names are relative, ``/``-separated, without ``.`` and ``..``, empty for the root, and decoded with surrogateescape.

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
            layer's own 0:0, which is a whiteout on disk.
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
        directories: Names in ``trees/`` and ``recipes/``: of trees, and of recipes that have none.
        blobs: Committed blobs.
        ingests: Unfinished blobs.
        size: Sum of the chains' layers as Docker counts (`LayerReport.size`), in bytes.
        disk_bytes: What the disk gets back once the files are gone.
    """

    chains: tuple[ChainID, ...] = ()
    directories: tuple[str, ...] = ()
    blobs: tuple[Digest, ...] = ()
    ingests: tuple[Digest, ...] = ()
    size: int = 0
    disk_bytes: int = 0


class FoundRepository(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry's index found, in the order and by the names of Docker's answer to a search.

    Attributes:
        star_count: How many like it.
        is_official: Whether Docker itself looks after it.
        name: As the index spells it.
        is_automated: Whether Docker Hub builds it.
        description: One line.
    """

    star_count: int = 0
    is_official: bool = False
    name: str
    is_automated: bool = False
    description: str = ""


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
