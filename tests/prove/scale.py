"""A store with a thousand images and ten thousand tags."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headway.composition.measuring import measuring
from headway.composition.reading import reading
from headway.composition.writing import writing
from headway.oci.digest import DiffID, Digest, ImageID, chain_ids
from headway.oci.reference import Reference
from headway.records import ImageRecord, LayerReport
from headway.service.images.delete import delete_image
from headway.service.images.listing import Listing
from headway.service.stores import Stores
from headway.settings import Settings
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.trees.layer_rows import encode_report, tree_directory
from tests.fakes.disks import du
from tests.prove.sheet import Sheet, check

IMAGES, TAGS, SHARED, OWN = 1_000, 10, 4, 4
LIST_MS, START_SECONDS = 50.0, 1.0
ROUNDS = 5
REPORT = LayerReport(size=1, disk_bytes=4096, entries=1)


@check(
    "scale",
    "1,000 images of 8 layers and 10,000 tags: a list in the service takes <= 50 ms, a writer's start <= 1 s, and a "
    "delete asks the database as much as it does among 10 images.",
)
def scale(sheet: Sheet) -> None:
    """Fill two stores, and compare."""
    small, large = sheet.place / "small", sheet.place / "large"
    for root, count in ((small, 10), (large, IMAGES)):
        fill(root, count)
    with reading(Settings(data_root=large)) as records:
        listed = Listing(records).images()
        sheet.at_least("images that are listed", len(listed), IMAGES)
        sheet.at_least("tags that are listed", sum(len(image.tags) for image in listed), IMAGES * TAGS)
        sheet.at_most("a list", 1_000 * least(lambda: Listing(records).images()), LIST_MS, "ms", decimals=1)
    sheet.at_most("a start to write", least(lambda: start(large)), START_SECONDS, "s")
    among_few, among_many = deleting(small), deleting(large)
    sheet.at_most("statements of a delete among 1,000 images", among_many[0], among_few[0], decimals=0)
    sheet.at_most("steps of SQLite's machine in it", among_many[1], 1.5 * among_few[1], decimals=0)
    sheet.tell("a delete of one image, all its tags", f"{1_000 * among_many[2]:.1f} ms")
    with measuring(Settings(data_root=large)) as (_, disk):
        sheet.tell("measuring what all takes up", f"{1_000 * least(disk.measure):.0f} ms")
        total = disk.measure().total
    sheet.at_most("df and du differ by", 100 * abs(total / du(large) - 1), 1.0, "%")


def fill(path: Path, count: int, *, tags: int = TAGS, own: int = OWN) -> None:
    """Record images as pulls would have done: trees are empty directories, and nothing is synced one by one."""
    with writing(Settings(data_root=path), tell=pytest.fail) as stores:
        root = DataRoot(path)
        with Database.open(root.database) as database, database.transaction():
            for stack in stacks(count, own):
                record_layers(root, database, stack)
        with stores.transaction():
            for number, stack in enumerate(stacks(count, own)):
                record_image(root, stores, number, stack, tags)


def stacks(count: int, own: int = OWN) -> Iterator[list[DiffID]]:
    """Yield the layers of so many images: some that all share, and some of each one's own."""
    shared = [DiffID(Digest.of(b"shared %d" % number)) for number in range(SHARED)]
    for number in range(count):
        yield [*shared, *(DiffID(Digest.of(b"own %d of %d" % (layer, number))) for layer in range(own))]


def record_layers(root: DataRoot, database: Database, diff_ids: list[DiffID]) -> None:
    for diff_id in diff_ids:
        (root.trees / tree_directory(diff_id)).mkdir(exist_ok=True)
        database.execute("INSERT OR IGNORE INTO trees VALUES (?, 1, 4096, ?)", (diff_id, encode_report(REPORT)))
    chains = chain_ids(diff_ids)
    for parent, chain_id, diff_id in zip([None, *chains], chains, diff_ids, strict=False):
        row = (chain_id, parent, diff_id, tree_directory(diff_id))
        database.execute("INSERT OR IGNORE INTO chains VALUES (?, ?, ?, ?, 0, NULL)", row)


def config_of(number: int) -> bytes:
    """Return an image's config, which says no more than there must be."""
    rootfs = {"type": "layers", "diff_ids": []}
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs, "number": number}).encode()


def record_image(root: DataRoot, stores: Stores, number: int, diff_ids: list[DiffID], tags: int) -> None:
    config, manifest = config_of(number), b"manifest %d" % number
    for data in (config, manifest):
        root.blob(Digest.of(data)).write_bytes(data)
    image_id = ImageID(Digest.of(config))
    stores.images.put(
        ImageRecord(
            image_id=image_id,
            created=f"2026-01-01T00:00:00.{number:06}Z",
            size=8,
            platform="linux/amd64",
            chain_id=chain_ids(diff_ids)[-1],
            manifest=Digest.of(manifest),
            labels={"number": str(number)},
        )
    )
    for tag in range(tags):
        stores.references.put_tag(Reference.parse(f"registry.example/team/app-{number}:{tag}"), image_id)


def start(root: Path) -> None:
    with writing(Settings(data_root=root), tell=pytest.fail):
        pass


def deleting(root: Path) -> tuple[int, int, float]:
    """Delete one image by its ID; return statements, steps of SQLite's machine in hundreds, and seconds."""
    statements: list[str] = []
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    image_id = Digest.of(config_of(5))
    with writing(Settings(data_root=root), tell=pytest.fail) as stores:
        connection = stores.transaction.__self__._connection  # type: ignore[attr-defined]  # the database's own
        connection.set_trace_callback(statements.append)
        connection.set_progress_handler(step, 100)
        began = time.monotonic()
        delete_image(stores, str(image_id), force=True)
        seconds = time.monotonic() - began
        connection.set_trace_callback(None)
        connection.set_progress_handler(None, 0)
        if stores.images.get(ImageID(image_id)) is not None:
            raise RuntimeError("the image is still there")
    return len(statements), steps, seconds


def least(work: Callable[[], object]) -> float:
    """Return the least of some times that work takes, in seconds."""
    return min(timed(work) for _ in range(ROUNDS))


def timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
