"""What the services keep things in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    # Annotations only: a command that lists must not pay for defining the interfaces.
    from headway.interfaces.content import BlobStore, IngestStore
    from headway.interfaces.garbage import Garbage, Leases
    from headway.interfaces.images import HostMemory, ImageStore, ReferenceStore, Transaction
    from headway.interfaces.layers import LayerStore


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """What questions about images need.

    Attributes:
        blobs: Configs, manifests and indexes.
        layers: Trees and chains.
        images: Records of images.
        references: Names of images.
    """

    blobs: BlobStore
    layers: LayerStore
    images: ImageStore
    references: ReferenceStore


class Stores(Records, frozen=True, kw_only=True):
    """Everything below one data root.

    Attributes:
        ingests: Unfinished blobs.
        hosts: Registries that have answered.
        leases: Promises that content stays.
        garbage: What nothing needs any more.
        transaction: Makes several records one commit.
    """

    ingests: IngestStore
    hosts: HostMemory
    leases: Leases
    garbage: Garbage
    transaction: Transaction
