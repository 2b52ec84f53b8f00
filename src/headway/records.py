"""Values that pass between Headway's parts: records of manifests, layers and images, and events.

Rule: cheap to import and to define, for commands that only list import these and not the interfaces.
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
    """What unpacking a layer's tar found out that its tree on disk does not show.

    Names are relative, ``/``-separated, without ``.`` and ``..``, empty for the root, and decoded with surrogateescape.

    Attributes:
        size: Sum of the lengths of regular files and symlink targets, hard links once: Docker's layer size
            (moby-behaviour 4.7).
        disk_bytes: Bytes of the blocks that the tree takes up, as du counts them: with its root, hard links once.
        entries: Entries of the tar.
        implicit: Directories without an entry of their own, made because something lies below them. Their owner and
            mode come from lower layers, so one that replaces what a whiteout hides is left out. Never the root.
        root_entry: Whether an entry described the root directory. If none did, the root looks as in the layers below
            (as `umoci unpack` leaves it).
        lower_links: Hard links whose target is not in this layer: (name, target).
        real_modes: Entries whose mode had to be widened in a rootless store: (name, mode).
        owners: Entries whose owner a rootless store could not set: (name, uid, gid). Entries of root are left out: in
            a rootless store our own user stands for root.
        devices: Device nodes that could not be made: (name, mode with file type, major, minor). In a rootless store
            all of them, otherwise 0:0, which on disk would be a whiteout.
        xattrs: Extended attributes that could not be set: (name, key, value). In a rootless store, or refused by the
            file system, or overlay's own, which would have an effect on a mount.
        members: How many names the tree has, not counting directories; 0 if they were not counted.
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
        path: Its directory, in overlay2's on-disk form (whiteouts 0:0, opaque xattr).
        report: What its files alone do not show.
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
    """A blob that holds a layer, and a repository in which it was seen.

    Attributes:
        digest: Digest of the blob.
        repository: Full spelling of that repository: ``docker.io/library/alpine``.
    """

    digest: Digest
    repository: str


class TarParts(msgspec.Struct, frozen=True):
    """What a layer's exact tar can be made from again.

    Attributes:
        tree: Directory of the layer's own tree, as it was unpacked.
        recipe: File with what the tree does not hold.
    """

    tree: Path
    recipe: Path


def recipe_beside(directory: Path) -> Path:
    """Return the path of a layer's recipe while the layer is being unpacked into the private `directory`."""
    return directory.with_name(f"{directory.name}.recipe")


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One image, as lists need it, so that listing reads no config.

    Attributes:
        image_id: Digest of its config, whose bytes are a blob.
        created: When it was built, RFC 3339 as its config has it; empty where the config does not say.
        size: Sum of its layers' sizes as Docker counts (`LayerReport.size`), in bytes.
        platform: ``os/arch[/variant]``.
        chain_id: The chain of all its layers; None where it has no layers.
        manifest: Digest of the platform's manifest that it came with, a blob; None where it came without.
        last_tagged: When it was tagged here, seconds since the epoch; 0 after a pull (moby-behaviour 5.1).
        labels: Labels of its config; None in records of older versions, which leave them to the config.
        parent: The local image it was made from; None for a pulled one (moby-behaviour 5.1).
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
    """Content without a record, whose files are to be removed.

    Attributes:
        chains: Chains whose records were deleted, each before the one below it.
        directories: Names in ``trees/`` and ``recipes/``, of trees and of recipes without a tree.
        blobs: Committed blobs.
        ingests: Unfinished blobs.
        size: Sum of the sizes of the chains' layers as Docker counts (`LayerReport.size`), in bytes.
        disk_bytes: Bytes of disk space that removing the files frees.
    """

    chains: tuple[ChainID, ...] = ()
    directories: tuple[str, ...] = ()
    blobs: tuple[Digest, ...] = ()
    ingests: tuple[Digest, ...] = ()
    size: int = 0
    disk_bytes: int = 0


class FoundRepository(msgspec.Struct, frozen=True, kw_only=True):
    """A repository that a search found; the fields have the names and the order of Docker's answer.

    Attributes:
        star_count: How many users have starred it.
        is_official: Whether it is one of Docker's official images.
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
        time_nano: When it happened, nanoseconds since the epoch.
        type: ``image``, ``container`` or ``daemon``.
        action: ``pull``, ``tag``, ``untag``, ``delete`` and so on.
        actor: ID or familiar name of what it happened to; empty where it is about nothing in particular.
        attributes: Further facts: labels, ``name``, ``reclaimed``.
    """

    sequence: int
    time_nano: int
    type: str
    action: str
    actor: str
    attributes: Mapping[str, str]
