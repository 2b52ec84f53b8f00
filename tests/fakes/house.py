"""Images made at once in any stores, and an image service over stores and registries in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from headway.composition.loading import loader
from headway.composition.pulls import pulling
from headway.composition.pushes import pushing
from headway.composition.saving import saver
from headway.composition.unpacking import apply_apart
from headway.distribution.transfer_limits import TransferLimits
from headway.layers.rootfs.file_access import RootfsAccess
from headway.oci.digest import DiffID, Digest, ImageID
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.records import ImageRecord, LayerReport
from headway.service.image_service import ImageService
from headway.service.image_service_config import ImageServiceConfig
from headway.service.registries.registry_service import RegistryService
from headway.service.stores import Stores
from headway.settings import Settings
from tests.fakes.simulated_pushes import SimulatedPusher
from tests.fakes.simulated_registry import SimulatedRegistry
from tests.fakes.trust import KnownTrustKey
from tests.fakes.web import NoWeb

AMD64 = Platform("linux", "amd64")


def memory_service(stores: Stores, registry: SimulatedRegistry, place: Path, **limits: int) -> ImageService:
    """Return an image service over `stores` and one registry for every host; `place` is a directory."""
    return ImageService(memory_config(stores, registry, place, **limits))


def memory_config(stores: Stores, registry: SimulatedRegistry, place: Path, **limits: int) -> ImageServiceConfig:
    """Return what `memory_service` makes its service of."""
    settings = Settings(data_root=place)
    return ImageServiceConfig(
        stores=stores,
        place=place,
        registry_service=RegistryService(
            index=registry, files=NoWeb(), verify=lambda _, login: login, host_platform=AMD64
        ),
        trust_key=KnownTrustKey(),
        applier=apply_apart,
        access=RootfsAccess(),
        saver=saver(stores),
        loader=loader(settings, stores),
        pulls=lambda live: pulling(settings, stores, limits=live, registry=registry),
        pushes=lambda live: pushing(settings, stores, limits=live, pusher=SimulatedPusher(registry)),
        limits=TransferLimits(**limits),
    )


def add_image(
    stores: Stores,
    *names: str,
    layers: Sequence[str] = (),
    created: str = "2026-01-02T03:04:05Z",
    labels: Mapping[str, str] | None = None,
    parent: ImageID | None = None,
    config: Mapping[str, object] | None = None,
    history: Sequence[Mapping[str, object]] = (),
) -> ImageID:
    """Record an image as if it had been pulled or made here; each layer has one file, which is called as the layer is.

    Args:
        stores: Where.
        names: What stands for it: tags, and digest references.
        layers: Names of its layers, bottom first; a layer's size is ten bytes by the length of its name.
        created: When it was made.
        labels: Its labels.
        parent: The image that it was made from.
        config: More of its config's top level.
        history: Its steps.
    """
    diff_ids = [_layer(stores, name) for name in layers]
    document = {
        "created": created,
        "os": "linux",
        "architecture": "amd64",
        "config": {"Labels": labels or {}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": list(history),
        **(config or {}),
    }
    data = json.dumps(document).encode()
    image_id = ImageID(Digest.of(data))
    stores.blobs.put(image_id, data)
    with stores.transaction():
        record = ImageRecord(
            image_id=image_id,
            created=created,
            size=sum(10 * len(name) for name in layers),
            platform="linux/amd64",
            chain_id=stores.layers.commit_chain(diff_ids),
            labels=labels or {},
            parent=parent,
        )
        stores.images.put(record)
        stores.images.add_blobs(image_id, [])
        for name in names:
            reference = Reference.parse(name)
            put = stores.references.put_digest if reference.digest else stores.references.put_tag
            put(reference, image_id)
    return image_id


def _layer(stores: Stores, name: str) -> DiffID:
    diff_id = DiffID(Digest.of(name.encode()))
    with stores.layers.new_tree() as path:
        (path / name).write_text(name)
        stores.layers.commit_tree(diff_id, path, LayerReport(size=10 * len(name), disk_bytes=4096, entries=1))
    return diff_id
