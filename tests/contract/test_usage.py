"""What a data root takes up, kind by kind: the sum is du's, and what is said to go is what goes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.composition.measuring import measuring
from headway.composition.writing import writing
from headway.container_records import ContainerRecord
from headway.interfaces.usage import ImageUsage, Kind, Usage
from headway.layers.unpacking.applier import apply_layer
from headway.oci.digest import DiffID, Digest, ImageID
from headway.records import ImageRecord, recipe_beside
from headway.service.images.prune import Pruner
from headway.service.stores import Stores
from headway.settings import Settings
from headway.store.space.blocks import allocated
from tests.fakes import disks
from tests.fakes.tars import Item, Source, directory, file, tar

BASE = [directory("etc"), *(file(f"etc/{number}", b"x" * 3000) for number in range(30))]
TOP = [file("etc/top", b"top" * 5000), file("usr/top", b"top")]  # leans on what is below
OTHER = [file("etc/other", b"other" * 4000)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def stores(root: Path) -> Iterator[Stores]:
    with writing(Settings(data_root=root), pytest.fail) as stores:
        yield stores


def measure(root: Path) -> Usage:
    with measuring(Settings(data_root=root)) as (_, disk):
        return disk.measure()


def unpack(stores: Stores, items: list[Item], *, recipe: bool = True) -> DiffID:
    with stores.layers.new_tree() as path:
        diff_id, report = apply_layer(Source(tar(*items)), path, lambda _: None)
        if recipe:
            recipe_beside(path).write_bytes(b"r" * 5000)
        stores.layers.commit_tree(diff_id, path, report)
    return diff_id


def add_image(stores: Stores, name: str, *layers: list[Item]) -> ImageID:
    image_id = ImageID(Digest.of(name.encode()))
    stores.blobs.put(image_id, name.encode())
    chain_id = stores.layers.commit_chain([unpack(stores, layer) for layer in layers])
    stores.images.put(ImageRecord(image_id=image_id, created=name, size=1, platform="linux/amd64", chain_id=chain_id))
    return image_id


def contain(stores: Stores, image_id: ImageID) -> None:
    """Create a container of an image, and write into it."""
    record = stores.images.get(image_id)
    assert record is not None
    with stores.rw_layers.prepare(record.chain_id) as draft:
        layer = draft.publish("c" * 64)
    stores.containers.add(
        ContainerRecord(container_id="c" * 64, name="user", image_id=image_id, image="app", created_nano=0)
    )
    path = layer.mount()
    try:
        (path / "written").write_bytes(b"w" * 50_000)
    finally:
        layer.unmount()


def of(usage: Usage, image_id: ImageID) -> ImageUsage:
    return next(image for image in usage.images if image.image_id == image_id)


def test_what_the_disk_does_not_tell_of_counts_nothing(tmp_path: Path) -> None:
    """A delete asks what it frees, and goes on."""
    assert allocated(tmp_path / ("too long a name" * 20)) == 0


def test_an_absent_store_takes_up_nothing(root: Path) -> None:
    usage = measure(root)

    assert (usage.total, usage.images, usage.layers, usage.everything) == (0, (), (), 0)
    assert not root.exists()


def test_what_is_shared_and_what_is_not(stores: Stores, root: Path) -> None:
    first, second = add_image(stores, "first", BASE, TOP), add_image(stores, "second", BASE, OTHER)

    usage = measure(root)

    base, top = (next(layer for layer in usage.layers if layer.images == count) for count in (2, 1))
    assert of(usage, first).shared == of(usage, second).shared == base.disk_bytes
    assert of(usage, first).unique != of(usage, second).unique
    assert usage.kinds[Kind.RECIPES].disk_bytes == 3 * 8192
    assert sum(layer.disk_bytes for layer in usage.layers) == (
        usage.kinds[Kind.IMAGES].disk_bytes + usage.kinds[Kind.RECIPES].disk_bytes - 2 * 4096
    )
    assert top.disk_bytes > 4 * 4096
    assert usage.total == disks.du(root)


def test_an_images_unique_bytes_are_what_goes_with_it(stores: Stores, root: Path) -> None:
    first, _ = add_image(stores, "first", BASE, TOP), add_image(stores, "second", BASE, OTHER)
    before = measure(root)

    freed = stores.garbage.forget_image(first)
    stores.garbage.sweep(freed)
    after = measure(root)

    assert of(before, first).unique == freed.disk_bytes
    content = (Kind.IMAGES, Kind.RECIPES)
    assert freed.disk_bytes == sum(before.kinds[k].disk_bytes - after.kinds[k].disk_bytes for k in content)


def test_everything_has_its_kind_and_prunes_free_what_is_said(stores: Stores, root: Path) -> None:
    add_image(stores, "first", BASE, TOP)
    used = add_image(stores, "second", BASE, OTHER)
    contain(stores, used)
    unpack(stores, [file("stray", b"s" * 10_000)])
    stores.blobs.put(Digest.of(b"stray"), b"stray")
    ingest = stores.ingests.open(Digest.of(b"half"), 40_000)
    ingest.write_at(0, b"h" * 20_000)
    ingest.close()
    with stores.leases.hold("pull stopped", Digest.of(b"stopped")) as lease:
        lease.add([unpack(stores, [file("stopped", b"s" * 30_000)]), Digest.of(b"half")])
    (root / "trees" / "orphan").mkdir()

    usage = measure(root)

    assert usage.total == pytest.approx(disks.du(root), rel=0.001)
    images, containers = usage.kinds[Kind.IMAGES], usage.kinds[Kind.CONTAINERS]
    assert (images.count, images.active, containers.count, containers.active) == (2, 1, 1, 1)
    assert containers.disk_bytes > 50_000
    assert usage.kinds[Kind.UNFINISHED].count == 1
    assert usage.kinds[Kind.UNFINISHED].disk_bytes > 50_000
    assert usage.kinds[Kind.OTHER].reclaimable == (4096 + 12288) + 4096 + 4096  # a tree, a blob, an orphan
    assert usage.dangling == images.reclaimable + usage.kinds[Kind.RECIPES].reclaimable + 24576

    said = (usage.dangling, usage.unfinished)
    pruner = Pruner(stores)
    freed = pruner.prune().disk_bytes, pruner.prune(unfinished=True).disk_bytes
    left = measure(root)

    assert freed == said
    database = [each.kinds[Kind.DATABASE].disk_bytes for each in (usage, left)]  # its log grows meanwhile
    assert left.total - database[1] == usage.total - database[0] - sum(freed)
    assert left.total == pytest.approx(disks.du(root), rel=0.001)
    assert (left.dangling, left.unfinished, left.kinds[Kind.OTHER].reclaimable) == (0, 0, 0)
    assert [image.image_id for image in left.images] == [used]
    assert os.listdir(root / "ingest") == []
