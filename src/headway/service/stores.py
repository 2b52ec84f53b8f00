"""The stores of one data root, as the services see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    # Annotations only: a command that lists must not pay for defining the interfaces.
    from headway.interfaces.containers import ContainerStore
    from headway.interfaces.content import BlobStore, IngestStore
    from headway.interfaces.distribution import DistributionMetadata
    from headway.interfaces.drivers import Drivers
    from headway.interfaces.events import EventLog
    from headway.interfaces.garbage import Garbage, Leases
    from headway.interfaces.images import HostMemory, ImageStore, ReferenceStore, Transaction
    from headway.interfaces.layers import LayerStore
    from headway.interfaces.pulls import PullStore
    from headway.interfaces.rw_layers import MountTable, RwLayerStore
    from headway.interfaces.traffic import TrafficStore
    from headway.service.events.events import Events


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """What questions about images need.

    Attributes:
        blobs: Configs, manifests and indexes.
        layers: Trees and chains.
        images: Records of images.
        references: Names of images.
        containers: What was created from them.
        log: What has happened to them.
        hosts: Registries that have answered.
    """

    blobs: BlobStore
    layers: LayerStore
    images: ImageStore
    references: ReferenceStore
    containers: ContainerStore
    log: EventLog
    hosts: HostMemory


class Stores(Records, frozen=True, kw_only=True):
    """Everything below one data root.

    Attributes:
        ingests: Unfinished blobs.
        leases: Promises that content stays.
        garbage: What nothing needs any more.
        rw_layers: Containers' read-write layers.
        drivers: What mounts layers.
        metadata: Which blobs were seen to hold which layers.
        mounts: What is mounted to stay.
        traffic: What crossed the network.
        pulls: Pulls that outlive who asked for them.
        events: Tells what happens.
        transaction: Makes several records one commit.
    """

    ingests: IngestStore
    leases: Leases
    garbage: Garbage
    rw_layers: RwLayerStore
    drivers: Drivers
    metadata: DistributionMetadata
    mounts: MountTable
    traffic: TrafficStore
    pulls: PullStore
    events: Events
    transaction: Transaction
