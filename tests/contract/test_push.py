"""Pushes, over a real store and registries in memory."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
import pytest

from headway.composition.pulls import pulling
from headway.composition.pushes import pushing
from headway.composition.unpacking import apply_apart
from headway.composition.writing import writing
from headway.distribution.endpoints import InsecureRegistries
from headway.distribution.transfer_limits import TransferLimits
from headway.errors import (
    ForgetfulRegistryError,
    HeadwayError,
    NoRecipeError,
    NotFoundError,
    PushIncompleteError,
    RefusedError,
)
from headway.interfaces.garbage import Lease, Leases
from headway.layers.rootfs.file_access import RootfsAccess
from headway.oci.digest import DiffID, Digest, ImageID
from headway.oci.manifest import MAX_MANIFEST_BYTES
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.records import LayerBlob
from headway.service.containers.containers import Containers
from headway.service.creation.commit import CommitRequest, Committer
from headway.service.images.delete import delete_image
from headway.service.images.lookup import Lookup
from headway.service.images.prune import Pruner
from headway.service.images.tagging import tag_image
from headway.service.limits.live_limits import LiveLimits
from headway.service.pushing.documents import PushDocuments
from headway.service.pushing.progress import LayerPush, PushDone, PushEvent, PushPhase, PushStarted
from headway.service.pushing.push import PushRequest
from headway.service.registries.remote_image import PullRequest
from headway.service.stores import Stores
from headway.service.transfers.progress import Notice
from headway.settings import Settings
from headway.store.content.blobs import FileBlobStore
from headway.store.data_root import DataRoot
from tests.fakes import images
from tests.fakes.simulated_pushes import SimulatedPusher
from tests.fakes.simulated_registry import SimulatedRegistry
from tests.faults.pull import AMD64
from tests.faults.story import CutAfter, Status
from tests.faults.story import Fault as On

ARM64 = Platform("linux", "arm64")
LAYERS = (images.noise_layer(300_000, seed=1), images.noise_layer(200_000, seed=2), {"small": b"small"})
IMAGE = images.image(LAYERS)
SOURCE = Reference.parse("registry.test/test/image:latest")
SIBLING = Reference.parse("registry.test/other/image:1")
ELSEWHERE = Reference.parse("elsewhere.test/other/image:1")


def quickly() -> float:
    """A clock by which nobody waits for long."""
    return 50 * time.monotonic()


class House:
    """A store with one image that was pulled, and where it may be pushed to."""

    def __init__(self, place: Path, stores: Stores) -> None:
        self.settings = Settings(data_root=place, record_recipes=True, max_download_attempts=3, download_patience=0.0)
        self.stores = stores
        self.events: list[PushEvent] = []

    def pull(
        self,
        registry: SimulatedRegistry,
        reference: Reference = SOURCE,
        *,
        recipes: bool = True,
        platform: Platform = AMD64,
    ) -> None:
        settings = msgspec.structs.replace(self.settings, record_recipes=recipes)

        async def run() -> None:
            async with pulling(settings, self.stores, registry=registry) as puller:
                request = PullRequest(reference, platform, (), InsecureRegistries())
                await puller.pull(request, lambda _: None)

        asyncio.run(run())

    def push(self, pusher: SimulatedPusher, reference: Reference) -> PushDone:
        [done] = self.push_at_once(pusher, [reference])
        return done

    def push_at_once(
        self, pusher: SimulatedPusher, references: Sequence[Reference], sources: Sequence[Reference] = (SOURCE,)
    ) -> list[PushDone]:
        async def run() -> list[PushDone]:
            async with pushing(self.settings, self.stores, pusher=pusher, clock=quickly) as image_pusher:
                works = [image_pusher.push(PushRequest(each), self.events.append) for each in references]
                return await asyncio.gather(*works)

        for source, reference in zip(itertools.cycle(sources), references, strict=False):
            tag_image(self.stores, str(source), str(reference))
        return asyncio.run(run())

    def failure(self, pusher: SimulatedPusher, reference: Reference) -> HeadwayError:
        with pytest.raises(PushIncompleteError) as caught:
            self.push(pusher, reference)
        return caught.value.cause

    @property
    def phases(self) -> dict[str, PushPhase]:
        """Where each layer ended, by diff ID."""
        return {str(event.diff_id): event.phase for event in self.events if isinstance(event, LayerPush)}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with writing(Settings(data_root=tmp_path), lambda _: None) as stores:
        yield House(tmp_path, stores)


@pytest.fixture
def pulled(house: House) -> House:
    house.pull(SimulatedRegistry([IMAGE]))
    return house


def test_what_another_repository_of_the_registry_has_is_mounted(pulled: House) -> None:
    registry = SimulatedRegistry([IMAGE])
    pusher = SimulatedPusher(registry)

    done = pulled.push(pusher, SIBLING)

    assert set(pulled.phases.values()) == {PushPhase.MOUNTED}
    assert (done.digest, done.came_as) == (IMAGE.manifest_digest, None)
    assert registry.content("other/image", "1") == IMAGE.blobs[IMAGE.manifest_digest]
    assert pusher.sent == len(IMAGE.blobs[IMAGE.image_id])


def test_a_session_that_was_begun_in_vain_is_ended(house: House) -> None:
    image = images.image((LAYERS[0],))
    house.pull(SimulatedRegistry([image]))
    [diff_id] = image.diff_ids
    layer = Digest.parse(image.layers[0])
    other = Digest.of(b"the same layer, packed by somebody else")
    for blob in (LayerBlob(other, "registry.test/other/image"), LayerBlob(layer, "registry.test/other/image")):
        house.stores.metadata.remember(DiffID(Digest.parse(diff_id)), blob)
    registry = SimulatedRegistry()
    registry.take_blob("other/image", other, b"the same layer, packed by somebody else")
    pusher = SimulatedPusher(registry)

    house.push(pusher, SIBLING)

    assert set(house.phases.values()) == {PushPhase.THERE}
    assert pusher.asked.count("DELETE upload") == 1


def test_what_the_repository_has_is_not_sent(pulled: House) -> None:
    registry = SimulatedRegistry([IMAGE])
    pusher = SimulatedPusher(registry)

    done = pulled.push(pusher, SOURCE.with_tag("again"))

    assert set(pulled.phases.values()) == {PushPhase.THERE}
    assert (done.digest, pusher.sent) == (IMAGE.manifest_digest, 0)


def test_elsewhere_layers_are_packed_anew_and_the_push_says_so(pulled: House) -> None:
    registry = SimulatedRegistry()

    done = pulled.push(SimulatedPusher(registry), ELSEWHERE)

    manifest = json.loads(registry.content("other/image", "1"))
    assert set(pulled.phases.values()) == {PushPhase.PUSHED}
    assert manifest["config"]["digest"] == IMAGE.image_id
    assert [entry["mediaType"] for entry in manifest["layers"]] == [
        entry["mediaType"] for entry in IMAGE.manifest["layers"]
    ]
    assert done.came_as == IMAGE.manifest_digest != done.digest
    assert [event.text for event in pulled.events if isinstance(event, Notice)] == [
        f"its digest changes: {done.digest} instead of {IMAGE.manifest_digest}, since layers had to be packed anew"
    ]


def test_what_was_pushed_can_be_pulled_as_the_same_image(pulled: House, tmp_path: Path) -> None:
    registry = SimulatedRegistry()
    pulled.push(SimulatedPusher(registry), ELSEWHERE)

    with writing(Settings(data_root=tmp_path / "other"), lambda _: None) as stores:
        House(tmp_path / "other", stores).pull(registry, ELSEWHERE)
        listed = [record.image_id for record in stores.images.list()]

    assert listed == [IMAGE.image_id]


@pytest.mark.parametrize("media", ["oci", "docker"])
def test_a_manifest_stays_of_the_kind_that_it_came_as(house: House, media: images.Media) -> None:
    image = images.image(LAYERS, media=media)
    house.pull(SimulatedRegistry([image]))
    registry = SimulatedRegistry()

    house.push(SimulatedPusher(registry), ELSEWHERE)

    manifest = json.loads(registry.content("other/image", "1"))
    assert manifest["mediaType"] == image.manifest["mediaType"]
    assert manifest["layers"][0]["mediaType"] == image.manifest["layers"][0]["mediaType"]


def test_blobs_that_are_here_are_sent_as_they_are(pulled: House) -> None:
    for digest in IMAGE.layers:
        pulled.stores.blobs.put(Digest.parse(digest), IMAGE.blobs[digest])
    registry = SimulatedRegistry()

    done = pulled.push(SimulatedPusher(registry), ELSEWHERE)

    assert (done.digest, done.came_as) == (IMAGE.manifest_digest, None)
    assert registry.content("other/image", "1") == IMAGE.blobs[IMAGE.manifest_digest]


def test_the_same_push_gives_the_same_digest(pulled: House) -> None:
    first = pulled.push(SimulatedPusher(SimulatedRegistry()), ELSEWHERE)
    second = pulled.push(SimulatedPusher(SimulatedRegistry()), ELSEWHERE)

    assert first.digest == second.digest


def test_what_the_same_packing_has_brought_before_is_not_sent_again(pulled: House) -> None:
    registry = SimulatedRegistry()
    first = pulled.push(SimulatedPusher(registry), ELSEWHERE)
    for diff_id in map(DiffID, map(Digest.parse, IMAGE.diff_ids)):
        for blob in pulled.stores.metadata.blobs_of(diff_id):
            pulled.stores.metadata.forget(blob)  # as where the store is new, or somebody else has pushed
    pusher = SimulatedPusher(registry)

    second = pulled.push(pusher, ELSEWHERE)

    [small] = [entry["size"] for entry in json.loads(registry.content("other/image", "1"))["layers"][2:]]
    assert list(pulled.phases.values()).count(PushPhase.THERE) == 2
    assert (second.digest, pusher.sent) == (first.digest, small)


def test_a_registry_that_does_not_say_how_long_a_blob_is_gets_the_right_lengths(pulled: House) -> None:
    registry = SimulatedRegistry()
    first = pulled.push(SimulatedPusher(registry), ELSEWHERE)
    for digest in map(Digest.parse, (IMAGE.manifest_digest, first.digest)):
        pulled.stores.blobs.delete(digest)  # as where another image shares the layers: no manifest tells their lengths
    pusher = SimulatedPusher(registry, tells_lengths=False)

    pulled.push(pusher, ELSEWHERE)

    layers = json.loads(registry.content("other/image", "1"))["layers"]
    assert [each["size"] for each in layers] == [registry.size("other/image", each["digest"]) for each in layers]
    assert list(pulled.phases.values()).count(PushPhase.THERE) == 2
    assert pusher.sent == layers[2]["size"]


@pytest.mark.parametrize("compression", ["zstd", "none"])
@pytest.mark.parametrize("retained", [False, True])
def test_a_manifest_names_no_blob_that_is_packed_otherwise_than_it_says(
    house: House, compression: images.Compression, *, retained: bool
) -> None:
    other = images.image(LAYERS, compression=compression, config={"Cmd": ["sh"]}, tag="1")
    house.settings = msgspec.structs.replace(house.settings, retain_layer_blobs=retained)
    registry = SimulatedRegistry([other], repository="other/image")
    house.pull(registry, ELSEWHERE)
    house.pull(SimulatedRegistry([IMAGE]))

    house.push(SimulatedPusher(registry), Reference.parse("elsewhere.test/new/image:1"))

    layers = json.loads(registry.content("new/image", "1"))["layers"]
    assert {each["mediaType"].rpartition("+")[2] for each in layers} == {"gzip"}
    assert not {each["digest"] for each in layers} & set(other.layers)


def test_where_its_blobs_are_here_an_image_keeps_its_manifest_whatever_else_could_be_mounted(house: House) -> None:
    house.settings = msgspec.structs.replace(house.settings, retain_layer_blobs=True)
    house.pull(SimulatedRegistry([IMAGE]))
    registry, other = SimulatedRegistry(), b"the first layer, packed by somebody else"
    registry.take_blob("other/image", Digest.of(other), other)
    blob = LayerBlob(Digest.of(other), ELSEWHERE.repository)
    house.stores.metadata.remember(DiffID(Digest.parse(IMAGE.diff_ids[0])), blob)

    done = house.push(SimulatedPusher(registry), Reference.parse("elsewhere.test/new/image:1"))

    assert (done.digest, done.came_as) == (IMAGE.manifest_digest, None)


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_images_that_are_pushed_at_once_each_has_the_blobs_that_its_manifest_may_name(
    house: House, order: int
) -> None:
    other = images.image(LAYERS, compression="zstd", config={"Cmd": ["sh"]}, tag="1")
    house.settings = msgspec.structs.replace(house.settings, retain_layer_blobs=True)
    house.pull(SimulatedRegistry([other], repository="other/image"), ELSEWHERE)
    house.pull(SimulatedRegistry([IMAGE]))
    registry = SimulatedRegistry()
    tags = [Reference.parse(f"third.test/new/image:{tag}") for tag in ("gzip", "zstd")]

    house.push_at_once(SimulatedPusher(registry), tags[::order], [SOURCE, ELSEWHERE][::order])

    packed = {
        tag.tag: [
            each["mediaType"].rpartition("+")[2]
            for each in json.loads(registry.content("new/image", tag.tag or ""))["layers"]
        ]
        for tag in tags
    }
    assert packed == {tag.tag: [tag.tag] * 3 for tag in tags}
    there = json.loads(registry.content("new/image", "gzip"))["layers"]
    assert not {each["digest"] for each in there} & set(other.layers)


def test_what_another_compressor_has_brought_before_is_not_sent_again(pulled: House) -> None:
    registry = SimulatedRegistry()
    older = b"the first layer, packed by what was installed then"
    registry.take_blob("other/image", Digest.of(older), older)
    diff_id = DiffID(Digest.parse(IMAGE.diff_ids[0]))
    pulled.stores.metadata.remember(diff_id, LayerBlob(Digest.of(older), ELSEWHERE.repository))

    pulled.push(SimulatedPusher(registry), ELSEWHERE)

    layers = json.loads(registry.content("other/image", "1"))["layers"]
    assert pulled.phases[diff_id] is PushPhase.THERE
    assert (layers[0]["digest"], layers[0]["size"]) == (Digest.of(older), len(older))


@pytest.mark.parametrize(
    ("compression", "retained", "kind", "how"),
    [
        ("gzip", False, "docker", PushPhase.MOUNTED),
        ("zstd", False, "oci", PushPhase.MOUNTED),
        ("none", False, "oci", PushPhase.MOUNTED),
        ("zstd", True, "oci", PushPhase.PUSHED),
    ],
)
def test_what_was_made_on_top_of_an_image_is_pushed_with_its_layers_as_they_came(
    house: House, compression: images.Compression, *, retained: bool, kind: str, how: PushPhase
) -> None:
    base = images.image(LAYERS, compression=compression)
    registry = SimulatedRegistry([base])
    house.settings = msgspec.structs.replace(house.settings, retain_layer_blobs=retained)
    house.pull(registry)
    made = _committed(house.stores, _committed(house.stores, SOURCE, "first"), "second")

    destination = Reference.parse(f"{'elsewhere' if retained else 'registry'}.test/made/image:1")
    house.push_at_once(SimulatedPusher(registry), [destination], [made])

    manifest = json.loads(registry.content("made/image", "1"))
    assert kind in manifest["mediaType"]
    assert [layer["digest"] for layer in manifest["layers"][:3]] == list(base.layers)
    assert {house.phases[diff_id] for diff_id in base.diff_ids} == {how}
    assert {layer["mediaType"].split(".")[1] for layer in [manifest["config"], *manifest["layers"]]} == {kind}


@pytest.mark.parametrize("is_damaged", [False, True])
def test_what_cannot_be_below_an_image_lends_it_no_layers(house: House, *, is_damaged: bool) -> None:
    base, other = images.image(LAYERS), images.image([*LAYERS[1:], {"a": b"a"}, {"b": b"b"}, {"c": b"c"}])
    registry = SimulatedRegistry([base])
    house.pull(SimulatedRegistry([other]))
    house.pull(registry)
    made = _committed(house.stores, SOURCE, "first")
    record = Lookup(house.stores).find(str(made))
    house.stores.images.put(msgspec.structs.replace(record, parent=ImageID(Digest.parse(other.image_id))))
    if is_damaged:
        house.stores.blobs.delete(Digest.parse(other.image_id))

    house.push_at_once(SimulatedPusher(registry), [Reference.parse("registry.test/made/image:1")], [made])

    manifest = json.loads(registry.content("made/image", "1"))
    assert [layer["digest"] for layer in manifest["layers"][:3]] == list(base.layers)


def _committed(stores: Stores, image: Reference, file: str) -> Reference:
    """Make an image of another one with one more file."""
    record = Containers(stores).create(str(image), name=file, config="{}")
    layer = Containers(stores).layer(file)
    (layer.mount() / file).write_text(file)
    layer.unmount()
    committer = Committer(stores, apply_apart, RootfsAccess(), AMD64)
    committer.commit(CommitRequest(container=record.container_id, repository="made", tag=file))
    return Reference.parse(f"made:{file}")


def test_a_push_adds_the_digest_and_tells(pulled: House) -> None:
    done = pulled.push(SimulatedPusher(SimulatedRegistry()), ELSEWHERE)

    stores = pulled.stores
    assert stores.references.get(ELSEWHERE.name_only().with_digest(done.digest)) == IMAGE.image_id
    last = stores.log.behind(0)[-1]
    assert (last.action, last.actor, last.attributes["name"]) == ("push", ELSEWHERE.familiar, ELSEWHERE.familiar_name)
    assert stores.leases.idle() == []


def test_a_layer_without_recipe_and_blob_says_what_to_do(house: House) -> None:
    house.pull(SimulatedRegistry([IMAGE]), recipes=False)

    error = house.failure(SimulatedPusher(SimulatedRegistry()), ELSEWHERE)

    assert isinstance(error, NoRecipeError)
    assert house.stores.leases.idle() == []


def test_a_blob_that_is_gone_from_the_repository_is_forgotten_and_sent(pulled: House) -> None:
    registry = SimulatedRegistry()

    pulled.push(SimulatedPusher(registry), SOURCE)

    assert set(pulled.phases.values()) == {PushPhase.PUSHED}
    known = pulled.stores.metadata.blobs_of(DiffID(Digest.parse(IMAGE.diff_ids[0])))
    assert [blob.repository for blob in known] == [SOURCE.repository]
    assert LayerBlob(Digest.parse(IMAGE.layers[0]), SOURCE.repository) not in known


def test_a_session_that_a_cut_has_cost_begins_anew(pulled: House) -> None:
    registry = SimulatedRegistry(faults=[On(CutAfter(50), kind="upload", method="PATCH", nth=1)])
    pusher = SimulatedPusher(registry)

    done = pulled.push(pusher, ELSEWHERE)

    assert done.receipt.retries == {"connection lost": 1}
    assert done.receipt.sent == done.receipt.needed + 50


def test_what_a_registry_kept_of_a_cut_piece_is_not_sent_again(pulled: House) -> None:
    registry = SimulatedRegistry(faults=[On(CutAfter(1000), kind="upload", method="PATCH", nth=range(1, 4))])
    pusher = SimulatedPusher(registry, keeps_pieces=True)

    done = pulled.push(pusher, ELSEWHERE)

    assert done.receipt.sent == done.receipt.needed


def test_behind_a_connection_that_was_lost_with_its_first_piece_the_next_one_gets_a_new_one(house: House) -> None:
    house.pull(SimulatedRegistry([images.image((LAYERS[0],))]))
    registry = SimulatedRegistry(faults=[On(CutAfter(50), kind="upload", method="PATCH", nth=1)])
    pusher = SimulatedPusher(registry, keeps_pieces=True)

    house.push(pusher, ELSEWHERE)

    assert pusher.allowances[:2] == [None, 0]  # some close each connection behind its answer, and do not say so
    assert 0 not in pusher.allowances[2:]


def test_a_link_that_breaks_at_every_attempt_ends_it(pulled: House) -> None:
    registry = SimulatedRegistry(faults=[On(CutAfter(0), kind="upload", method="PATCH")])

    error = pulled.failure(SimulatedPusher(registry), ELSEWHERE)

    assert "3 attempts" in str(error)


def test_a_registry_that_takes_everything_and_has_nothing_is_one_clear_error(pulled: House) -> None:
    error = pulled.failure(SimulatedPusher(SimulatedRegistry(), forgets=True), ELSEWHERE)

    assert isinstance(error, ForgetfulRegistryError)
    assert pulled.stores.references.get(ELSEWHERE) == IMAGE.image_id  # the tag here is the user's


def test_a_refusal_is_final(pulled: House) -> None:
    registry = SimulatedRegistry(faults=[On(Status(403), kind="upload", method="POST")])

    error = pulled.failure(SimulatedPusher(registry), ELSEWHERE)

    assert isinstance(error, RefusedError)


def test_who_lets_nobody_in_is_known_before_a_layer_is_packed(pulled: House) -> None:
    registry = SimulatedRegistry(faults=[On(Status(403), kind="blob", method="HEAD", digest=IMAGE.image_id)])

    error = pulled.failure(SimulatedPusher(registry), ELSEWHERE)

    assert isinstance(error, RefusedError)
    assert {event.phase for event in pulled.events if isinstance(event, LayerPush)} == {PushPhase.PREPARING}


def test_one_layer_is_sent_once_for_two_tags(pulled: House) -> None:
    pusher = SimulatedPusher(SimulatedRegistry())

    done = pulled.push_at_once(pusher, [ELSEWHERE.with_tag("a"), ELSEWHERE.with_tag("b")])

    document = json.loads(pulled.stores.blobs.read(done[0].digest))
    layers = sum(entry["size"] for entry in document["layers"])
    assert done[0].digest == done[1].digest
    assert layers < pusher.sent < layers + 4096


def test_an_index_goes_along_where_everything_in_it_is_there(house: House) -> None:
    image = images.image(LAYERS, index=True)
    registry = SimulatedRegistry([image])
    house.pull(registry)

    done = house.push(SimulatedPusher(registry), SOURCE.with_tag("again"))

    assert done.digest == image.manifest_digest
    assert registry.content("test/image", "again") == image.blobs[image.manifest_digest]


def test_an_index_within_an_index_goes_along_behind_what_it_lists(house: House) -> None:
    inner = images.image(LAYERS, index=True, platforms=("linux/amd64",))
    outer = _index_of(inner)
    registry = SimulatedRegistry([outer])
    house.pull(registry)

    done = house.push(SimulatedPusher(registry), SIBLING)

    assert (done.digest, done.came_as) == (outer.manifest_digest, None)
    assert registry.content("other/image", "1") == outer.blobs[outer.manifest_digest]
    assert registry.content("other/image", inner.manifest_digest) == inner.blobs[inner.manifest_digest]


def test_of_two_indexes_that_an_image_came_with_its_tags_own_goes_first(house: House) -> None:
    inner = images.image(LAYERS, index=True, platforms=("linux/amd64",))
    registry, both = SimulatedRegistry(), {"1": inner, "2": _index_of(inner)}
    for tag, image in both.items():
        registry.add(image, SOURCE.path, tag=tag)
        house.pull(registry, SOURCE.with_tag(tag))
    [record] = house.stores.images.list()
    assert record.manifest is not None
    documents, digests = (
        PushDocuments(house.stores, SOURCE),
        [Digest.parse(each.manifest_digest) for each in both.values()],
    )

    found = [documents.index_over(record, record.manifest, first=digest) for digest in digests]

    assert [each.digest for each in found if each is not None] == digests


def test_what_buildkit_puts_beside_an_image_is_called_by_its_name(house: House) -> None:
    image = images.image(LAYERS, index=True, platforms=("linux/amd64", "unknown/unknown"))
    registry = SimulatedRegistry([image])
    house.pull(registry)

    house.push(SimulatedPusher(registry), SIBLING)

    [said] = [event.text for event in house.events if isinstance(event, Notice)]
    assert said.endswith("lists an attestation, which is neither here nor at the registry")


def test_what_an_index_lists_is_read_once_however_often_it_does_and_only_what_may_be_a_document(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, read, reading = bytes(MAX_MANIFEST_BYTES + 1), list[Digest](), FileBlobStore.read

    def noted(self: FileBlobStore, digest: Digest) -> bytes:
        read.append(digest)
        return reading(self, digest)

    inner = _index_of(images.image(LAYERS, index=True, platforms=("linux/amd64",)), times=30)
    outer = _index_of(inner, times=30, beside=images.digest_of(large))
    house.stores.blobs.put(Digest.parse(images.digest_of(large)), large)
    house.pull(SimulatedRegistry([outer]))
    [record] = house.stores.images.list()
    documents = PushDocuments(house.stores, SIBLING)
    monkeypatch.setattr(FileBlobStore, "read", noted)

    assert documents.index_over(record, Digest.of(b"another manifest")) is None

    assert read.count(Digest.parse(inner.manifest_digest)) == 1
    assert Digest.parse(images.digest_of(large)) not in read


def test_the_documents_of_other_images_of_a_repository_are_not_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [images.image((images.noise_layer(1000, seed=seed),), tag=f"other-{seed}") for seed in range(3)]
    for each in others:
        house.pull(SimulatedRegistry([each]), SOURCE.with_tag(each.tag))
    read, reading = list[Digest](), FileBlobStore.read

    def noted(self: FileBlobStore, digest: Digest) -> bytes:
        read.append(digest)
        return reading(self, digest)

    monkeypatch.setattr(FileBlobStore, "read", noted)
    house.push_at_once(SimulatedPusher(SimulatedRegistry([others[0]])), [SIBLING], [SOURCE.with_tag(others[0].tag)])

    assert {each.manifest_digest for each in others} & set(map(str, read)) == {others[0].manifest_digest}


def test_without_the_other_platforms_only_the_manifest_goes(house: House) -> None:
    image = images.image(LAYERS, index=True)
    registry = SimulatedRegistry([image])
    house.pull(registry)

    done = house.push(SimulatedPusher(registry), SIBLING)

    assert json.loads(registry.content("other/image", "1")) == image.manifest
    assert done.came_as is None
    [said] = [event.text for event in house.events if isinstance(event, Notice)]
    assert said == (
        "only the manifest of linux/amd64 is pushed: the index that it came with lists another for linux/arm64, "
        "which is neither here nor at the registry"
    )


def test_an_index_stays_here_where_another_platform_changes_and_the_push_says_so(house: House) -> None:
    amd, arm = images.image(LAYERS), images.image((images.noise_layer(300_000, seed=9),), platforms=("linux/arm64",))
    image = _indexed(amd, arm)
    for platform in (ARM64, AMD64):
        house.pull(SimulatedRegistry([image]), platform=platform)
    for digest in amd.layers:
        house.stores.blobs.put(Digest.parse(digest), amd.blobs[digest])

    done = house.push(SimulatedPusher(SimulatedRegistry()), SIBLING)

    assert done.digest == amd.manifest_digest
    assert [event.text for event in house.events if isinstance(event, Notice)] == [
        "only the manifest of linux/amd64 is pushed: the index that it came with lists another for linux/arm64, "
        "of which layers had to be packed anew"
    ]


def _index_of(image: images.Image, *, times: int = 1, beside: str = "") -> images.Image:
    """Return an image with an index over its index, that lists it so many times, and maybe something else."""
    kind = "application/vnd.oci.image.index.v1+json"
    inner = {"mediaType": kind, "digest": image.manifest_digest, "size": len(image.blobs[image.manifest_digest])}
    other = [{"mediaType": kind, "digest": beside, "size": 1}] if beside else []
    data = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": times * [inner] + other}).encode()
    digest = images.digest_of(data)
    return dataclasses.replace(
        image,
        blobs={**image.blobs, digest: data},
        media_types={**image.media_types, digest: kind},
        manifest_digest=digest,
    )


def _indexed(*parts: images.Image) -> images.Image:
    """Return the first image with an index over it and the others."""
    kind = "application/vnd.oci.image.index.v1+json"
    entries = []
    for part in parts:
        data = part.blobs[part.manifest_digest]
        config = json.loads(part.blobs[part.image_id])
        entries.append({
            "mediaType": part.media_types[part.manifest_digest], "digest": part.manifest_digest, "size": len(data),
            "platform": {key: config[key] for key in ("os", "architecture")},
        })  # fmt: skip
    data = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
    digest = images.digest_of(data)
    blobs = {name: blob for part in parts for name, blob in part.blobs.items()} | {digest: data}
    media_types = {name: media for part in parts for name, media in part.media_types.items()} | {digest: kind}
    return dataclasses.replace(parts[0], blobs=blobs, media_types=media_types, manifest_digest=digest)


def test_the_other_platforms_stay_until_they_are_pushed_whoever_prunes(house: House) -> None:
    image = images.image(LAYERS, index=True)
    for platform in (AMD64, ARM64):
        house.pull(SimulatedRegistry([image]), platform=platform)
    for digest in image.layers:
        house.stores.blobs.put(Digest.parse(digest), image.blobs[digest])
    registry = SimulatedRegistry()

    def prune_meanwhile(event: PushEvent) -> None:
        house.events += [event] if isinstance(event, PushStarted) else []  # told of each platform
        if len(house.events) == 2:
            for record in house.stores.images.list():
                delete_image(house.stores, str(record.image_id), force=True)
            Pruner(house.stores).prune()

    async def run() -> PushDone:
        async with pushing(house.settings, house.stores, pusher=SimulatedPusher(registry)) as pusher:
            return await pusher.push(PushRequest(SIBLING), prune_meanwhile)

    tag_image(house.stores, str(SOURCE), str(SIBLING))
    done = asyncio.run(run())

    assert len(house.events) == 2
    assert done.digest == image.manifest_digest
    assert house.stores.images.list() == []


class PrunedBehind(FileBlobStore):
    """Blobs, in a store that somebody prunes behind each one that is put there."""

    def __init__(self, place: Path, pruner: Pruner) -> None:
        super().__init__(DataRoot(place))
        self._pruner = pruner

    def put(self, digest: Digest, data: bytes) -> None:
        """See `BlobStore`."""
        super().put(digest, data)
        self._pruner.prune()


def test_the_manifest_that_was_pushed_stays_whoever_prunes_meanwhile(pulled: House) -> None:
    blobs = PrunedBehind(pulled.settings.data_root, Pruner(pulled.stores))
    pulled.stores = msgspec.structs.replace(pulled.stores, blobs=blobs)

    done = pulled.push(SimulatedPusher(SimulatedRegistry()), ELSEWHERE)

    assert Digest.of(pulled.stores.blobs.read(done.digest)) == done.digest


def test_the_platform_alone_is_pushed_where_it_is_named(house: House) -> None:
    image = images.image(LAYERS, index=True)
    registry = SimulatedRegistry([image])
    house.pull(registry)

    async def run() -> PushDone:
        async with pushing(house.settings, house.stores, pusher=SimulatedPusher(registry)) as pusher:
            return await pusher.push(PushRequest(SOURCE, AMD64), house.events.append)

    done = asyncio.run(run())

    assert json.loads(registry.content("test/image", "latest")) == image.manifest
    assert done.digest == Digest.of(registry.content("test/image", "latest"))


def test_a_platform_that_is_not_here_is_missed_by_the_name_that_was_given(pulled: House) -> None:
    async def run() -> None:
        async with pushing(pulled.settings, pulled.stores, pusher=SimulatedPusher(SimulatedRegistry())) as pusher:
            await pusher.push(PushRequest(SOURCE, ARM64), pulled.events.append)

    with pytest.raises(
        PushIncompleteError, match=f"image with reference {SOURCE.familiar} was found but does not match"
    ):
        asyncio.run(run())


def test_a_layer_that_may_not_be_distributed_stays_where_it_is(house: House) -> None:
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    image = _with_foreign_bottom(images.image(LAYERS, media="docker"), foreign)
    house.pull(SimulatedRegistry([image]))
    registry = SimulatedRegistry()

    house.push(SimulatedPusher(registry), ELSEWHERE)

    bottom = json.loads(registry.content("other/image", "1"))["layers"][0]
    assert (bottom["mediaType"], bottom["urls"]) == (foreign, ["https://foreign.test/bottom"])
    assert registry.size("other/image", bottom["digest"]) is None
    assert house.phases[image.diff_ids[0]] is PushPhase.SKIPPED


def _with_foreign_bottom(image: images.Image, media_type: str) -> images.Image:
    document = json.loads(image.blobs[image.manifest_digest])
    document["layers"][0] |= {"mediaType": media_type, "urls": ["https://foreign.test/bottom"]}
    data = json.dumps(document).encode()
    digest = images.digest_of(data)
    blobs = {**image.blobs, digest: data}
    media_types = {digest: image.media_types[image.manifest_digest]}
    return images.Image(
        blobs=blobs, media_types=media_types, manifest_digest=digest, tag=image.tag, image_id=image.image_id,
        layers=image.layers, diff_ids=image.diff_ids,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("registry.test/none:1", "An image does not exist locally with the tag: registry.test/none"),
        ("registry.test/test/image:none", "tag does not exist: registry.test/test/image:none"),
    ],
)
def test_a_name_that_is_not_here_is_told_in_dockers_words(pulled: House, name: str, words: str) -> None:
    async def run() -> None:
        async with pushing(pulled.settings, pulled.stores, pusher=SimulatedPusher(SimulatedRegistry())) as pusher:
            await pusher.push(PushRequest(Reference.parse(name)), pulled.events.append)

    with pytest.raises(PushIncompleteError) as caught:
        asyncio.run(run())

    assert isinstance(caught.value.cause, NotFoundError)
    assert str(caught.value.cause) == words


class RemovingLeases:
    """Leases, in a store where somebody removes an image just before its push holds one."""

    def __init__(self, leases: Leases, remove: Callable[[], object]) -> None:
        self._leases = leases
        self._remove = remove

    def hold(self, purpose: str, subject: Digest) -> AbstractContextManager[Lease]:
        """See `Leases`."""
        self._remove()
        return self._leases.hold(purpose, subject)

    def __getattr__(self, name: str) -> object:
        return getattr(self._leases, name)


def test_an_image_that_is_removed_at_that_moment_is_told_as_one_that_is_not_here(pulled: House) -> None:
    plain = pulled.stores
    leases = RemovingLeases(plain.leases, lambda: delete_image(plain, str(ELSEWHERE), force=True))
    tag_image(plain, str(SOURCE), str(ELSEWHERE))
    delete_image(plain, str(SOURCE))
    pulled.stores = msgspec.structs.replace(plain, leases=leases)

    async def run() -> None:
        async with pushing(pulled.settings, pulled.stores, pusher=SimulatedPusher(SimulatedRegistry())) as pusher:
            await pusher.push(PushRequest(ELSEWHERE), pulled.events.append)

    with pytest.raises(PushIncompleteError) as caught:
        asyncio.run(run())

    assert str(caught.value.cause) == "An image does not exist locally with the tag: elsewhere.test/other/image"
    assert plain.leases.idle() == []


def test_all_tags_go_in_order(pulled: House) -> None:
    registry = SimulatedRegistry()
    for tag in ("b", "a"):
        tag_image(pulled.stores, str(SOURCE), str(ELSEWHERE.with_tag(tag)))

    async def run() -> list[PushDone]:
        async with pushing(pulled.settings, pulled.stores, pusher=SimulatedPusher(registry)) as pusher:
            return await pusher.push_all(PushRequest(ELSEWHERE.name_only()), pulled.events.append)

    assert [done.tag for done in asyncio.run(run())] == ["a", "b"]


def test_layers_are_told_top_first_and_prepared_before_anything_else(pulled: House) -> None:
    pulled.push(SimulatedPusher(SimulatedRegistry()), ELSEWHERE)

    started, *rest = pulled.events
    assert isinstance(started, PushStarted)
    assert [diff_id for diff_id, _ in started.layers] == list(reversed(IMAGE.diff_ids))
    assert [event.phase for event in rest[:3] if isinstance(event, LayerPush)] == [PushPhase.PREPARING] * 3


def test_so_many_layers_are_under_way_as_uploads_may_be(pulled: House) -> None:
    limits = LiveLimits(TransferLimits(max_concurrent_uploads=1))

    async def run() -> None:
        async with pushing(
            pulled.settings, pulled.stores, limits=limits, pusher=SimulatedPusher(SimulatedRegistry())
        ) as pusher:
            await pusher.push(PushRequest(ELSEWHERE), pulled.events.append)

    tag_image(pulled.stores, str(SOURCE), str(ELSEWHERE))
    asyncio.run(run())

    under_way: set[str] = set()
    most = 0
    for event in pulled.events:
        if isinstance(event, LayerPush) and event.phase in (PushPhase.PACKING, PushPhase.PUSHING):
            under_way.add(str(event.diff_id))
        elif isinstance(event, LayerPush) and event.phase is PushPhase.PUSHED:
            under_way.discard(str(event.diff_id))
        most = max(most, len(under_way))
    assert most == 1


@pytest.mark.parametrize(
    ("changed", "waiting"), [({}, 2), ({"max_concurrent_downloads": 3}, 2), ({"max_concurrent_uploads": 3}, 0)]
)
def test_another_limit_of_uploads_holds_from_then_on(pulled: House, changed: dict[str, int], waiting: int) -> None:
    limits = LiveLimits(TransferLimits(max_concurrent_uploads=1))

    async def run() -> None:
        pusher = SimulatedPusher(SimulatedRegistry())
        async with pushing(pulled.settings, pulled.stores, limits=limits, pusher=pusher) as pushes:
            limits.update(**changed)
            await pushes.push(PushRequest(ELSEWHERE), pulled.events.append)

    tag_image(pulled.stores, str(SOURCE), str(ELSEWHERE))
    asyncio.run(run())

    phases = [event.phase for event in pulled.events if isinstance(event, LayerPush)]
    assert phases.count(PushPhase.WAITING) == waiting
