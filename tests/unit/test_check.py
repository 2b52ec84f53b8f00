"""What is made of what a check finds: whom it hurts, what mends it, what that costs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from headway.errors import NotFoundError, StoreCorruptError
from headway.interfaces.inventory import StoredImage, StoredTree
from headway.oci.digest import DiffID, Digest, ImageID
from headway.oci.image_config import MAX_CONFIG_BYTES
from headway.service.health.check import MOST_FAULTS, Checker, sources
from headway.service.health.damage import Checked, Kind, Remedy
from headway.service.health.repair import damaged_chains, damaged_layers

BASE, TOP = DiffID(Digest.of(b"base")), DiffID(Digest.of(b"top"))
CONFIG = Digest.of(b"config")
MANIFEST_BYTES = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": CONFIG, "size": 6},
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": Digest.of(name), "size": size}
            for name, size in ((b"base blob", 1_000), (b"top blob", 20))
        ],
    }
).encode()
MANIFEST = Digest.of(MANIFEST_BYTES)
PULLED = StoredImage(
    image_id=ImageID(CONFIG),
    names=("docker.io/library/app:1", f"docker.io/library/app@{MANIFEST}"),
    manifest=MANIFEST,
    platform="linux/amd64",
    blobs=(CONFIG, MANIFEST),
    diff_ids=(BASE, TOP),
)
IMPORTED = StoredImage(
    image_id=ImageID(Digest.of(b"imported")),
    names=("docker.io/library/made:1",),
    manifest=None,
    platform="linux/amd64",
    blobs=(Digest.of(b"imported"),),
    diff_ids=(TOP,),
)


@dataclass
class Blobs:
    """Holds blobs, some of which are rotten."""

    held: dict[Digest, bytes] = field(
        default_factory=lambda: {CONFIG: b"config", MANIFEST: MANIFEST_BYTES, Digest.of(b"imported"): b"imported"}
    )

    def size(self, digest: Digest) -> int | None:
        return len(self.held[digest]) if digest in self.held else None

    def read(self, digest: Digest) -> bytes:
        data = b"".join(self.pieces(digest))
        assert len(data) <= MAX_CONFIG_BYTES, "what may be a layer of gigabytes is not taken into memory"
        return data

    def pieces(self, digest: Digest) -> Iterator[bytes]:
        if digest not in self.held:
            raise NotFoundError("blob", digest)
        yield self.held[digest]
        if Digest.of(self.held[digest]) != digest:
            raise StoreCorruptError("another digest")


@dataclass
class Records:
    """An inventory of two layers."""

    held: list[StoredImage]
    in_chain: bool = True
    recorded: bool = True
    lost: tuple[str, ...] = ()

    def trees(self) -> list[StoredTree]:
        return [
            StoredTree(diff_id=diff_id, chain_id=None, path=Path(diff_id), recipe=None, size=1, in_chain=self.in_chain)
            for diff_id in (BASE, TOP)
        ]

    def has(self, tree: StoredTree) -> bool:
        return self.recorded

    def images(self) -> list[StoredImage]:
        return self.held

    def lost_containers(self) -> tuple[str, ...]:
        return self.lost

    def faults(self) -> Iterator[str]:
        return iter(())


def checked(records: Records, *wrong: DiffID, blobs: Blobs | None = None, faults: int = 1) -> Checked:
    def examine(tree: StoredTree, *, full: bool) -> Iterator[str]:
        return iter([f"fault {number}" for number in range(faults)] if tree.diff_id in wrong else [])

    return Checker(records, blobs or Blobs(), examine).check()  # type: ignore[arg-type]  # it only reads


def test_a_layer_costs_the_blob_that_the_manifest_promises_and_hurts_whoever_has_it() -> None:
    found = checked(Records([PULLED, IMPORTED]), TOP)

    (damage,) = found.damage
    assert (damage.kind, damage.name, damage.remedy, damage.fetch) == (Kind.LAYER, TOP, Remedy.FETCH, 20)
    assert [image.names[0] for image in damage.images] == ["app:1", "made:1"]
    assert (found.fetch, found.is_exact, damaged_layers(found), damaged_chains(found)) == (20, True, {TOP}, set())


def test_a_layers_blob_that_is_kept_is_checked_piece_by_piece() -> None:
    whole, rotten = bytes(MAX_CONFIG_BYTES + 1), b"rotten".ljust(MAX_CONFIG_BYTES + 1)
    blobs = Blobs()
    blobs.held |= {Digest.of(whole): whole, Digest.of(b"another"): rotten}
    image = msgspec.structs.replace(PULLED, blobs=(*PULLED.blobs, Digest.of(whole), Digest.of(b"another")))

    found = checked(Records([image]), blobs=blobs)

    assert [(damage.kind, damage.name) for damage in found.damage] == [(Kind.BLOB, Digest.of(b"another"))]


@pytest.mark.parametrize("image", [PULLED, msgspec.structs.replace(PULLED, names=())])
def test_a_layers_blob_that_is_kept_and_damaged_is_let_go(image: StoredImage) -> None:
    image = msgspec.structs.replace(image, blobs=(*image.blobs, Digest.of(b"top blob")))

    found = checked(Records([image]))

    assert [(damage.name, damage.remedy, damage.fetch) for damage in found.damage] == [
        (Digest.of(b"top blob"), Remedy.FORGET, 0)
    ]
    assert found.hurt == ()


def test_what_came_from_no_registry_cannot_be_fetched() -> None:
    found = checked(Records([IMPORTED]), TOP)

    assert [(each.remedy, each.fetch) for each in found.damage] == [(Remedy.NONE, 0)]
    assert not found.mendable


def test_without_its_manifest_nobody_guesses_what_a_layer_costs() -> None:
    blobs = Blobs()
    blobs.held[MANIFEST] = b"rotten"

    found = checked(Records([PULLED]), TOP, blobs=blobs)

    assert {(each.kind, each.fetch) for each in found.damage} == {(Kind.BLOB, None), (Kind.LAYER, None)}
    assert not found.is_exact


def test_a_config_that_is_gone_costs_what_its_manifest_says() -> None:
    blobs = Blobs()
    del blobs.held[CONFIG]

    (damage,) = checked(Records([PULLED]), blobs=blobs).damage

    assert (damage.faults, damage.fetch) == (("it is gone",), 6)


def test_what_was_removed_meanwhile_is_no_damage() -> None:
    assert checked(Records([PULLED], recorded=False), BASE, TOP).damage == ()


def test_a_layer_of_a_stopped_pull_is_forgotten() -> None:
    (damage,) = checked(Records([], in_chain=False), TOP).damage

    assert damage.remedy is Remedy.FORGET


def test_thousands_of_damaged_images_are_found_in_no_time() -> None:
    gone = [Digest.of(b"%d" % number) for number in range(20_000)]
    images = [
        StoredImage(image_id=ImageID(each), names=(), manifest=None, platform="", blobs=(each,), diff_ids=(TOP,))
        for each in gone
    ]
    began = time.process_time()

    found = checked(Records(images))

    assert time.process_time() - began < 2
    assert len(found.damage) == len(gone)


def test_a_tree_in_ruins_is_told_of_briefly() -> None:
    (damage,) = checked(Records([PULLED]), TOP, faults=1_000).damage

    assert len(damage.faults) == MOST_FAULTS


def test_containers_that_lost_what_was_written_are_named_and_cannot_be_mended() -> None:
    (damage,) = checked(Records([PULLED], lost=("calm-ketch",))).damage

    assert (damage.kind, damage.name, damage.remedy) == (Kind.CONTAINER, "calm-ketch", Remedy.NONE)


def test_an_image_is_had_again_by_its_digest_or_by_its_manifest_where_it_has_only_tags() -> None:
    tagged = StoredImage(
        image_id=ImageID(CONFIG), names=("a.example/app:1", "a.example/app:2"), manifest=MANIFEST, platform="", blobs=()
    )

    assert [str(each) for each in sources(PULLED)] == [f"docker.io/library/app@{MANIFEST}"]
    assert [str(each) for each in sources(tagged)] == [f"a.example/app@{MANIFEST}"]
    assert sources(IMPORTED) == []
