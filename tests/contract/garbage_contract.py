"""What every `Garbage`, and every `Leases` that it looks at, does."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from headway.errors import ConflictError, NotFoundError
from headway.interfaces.content import BlobStore, IngestStore
from headway.interfaces.garbage import Garbage, Leases
from headway.interfaces.images import ImageStore, ReferenceStore
from headway.interfaces.layers import LayerStore
from headway.oci.digest import ChainID, Digest, ImageID
from headway.oci.reference import Reference
from headway.records import Freed, ImageRecord, LayerReport
from tests.contract.layer_store_contract import LEANING, WHOLE, chain_id, commit, diff_id, files, with_recipe

MANIFEST, INDEX = Digest.of(b"manifest"), Digest.of(b"index")


@dataclass(frozen=True, kw_only=True)
class World:
    """Stores that belong together, and their garbage."""

    blobs: BlobStore
    ingests: IngestStore
    layers: LayerStore
    images: ImageStore
    references: ReferenceStore
    leases: Leases
    garbage: Garbage

    def image(self, name: str, *layers: str, index: bool = True) -> ImageID:
        """Record an image with its blobs and layers, of which all but the first lean on those below."""
        image_id = ImageID(Digest.of(name.encode()))
        self.blobs.put(image_id, name.encode())
        for blob in (b"manifest", b"index"):
            self.blobs.put(Digest.of(blob), blob)
        self.images.put(
            ImageRecord(
                image_id=image_id,
                created="",
                size=1,
                platform="linux/amd64",
                chain_id=self.chain(*layers),
                manifest=MANIFEST,
            )
        )
        self.images.add_blobs(image_id, [INDEX] if index else [])
        return image_id

    def chain(self, *layers: str) -> ChainID | None:
        reports: list[LayerReport] = [WHOLE, *(LEANING for _ in layers)]
        return self.layers.commit_chain([commit(self.layers, *pair) for pair in zip(layers, reports, strict=False)])

    def here(self, *digests: Digest) -> list[bool]:
        return [self.blobs.size(digest) is not None for digest in digests]

    def forget(self, image_id: ImageID) -> Freed:
        freed = self.garbage.forget_image(image_id)
        self.garbage.sweep(freed)
        return freed

    def collect(self, *, unfinished: bool = False) -> Freed:
        freed = self.garbage.forget_unneeded(unfinished=unfinished)
        self.garbage.sweep(freed)
        return freed

    def unfinished(self, content: bytes) -> Digest:
        digest = Digest.of(content)
        ingest = self.ingests.open(digest, len(content))
        ingest.write_at(0, content[:1])
        ingest.close()
        return digest


class GarbageContract:
    """Give `world`, whose stores are empty and derive as `layer_store_contract.derive` does."""

    def test_what_only_one_image_needed_goes_with_it_top_first(self, world: World) -> None:
        image = world.image("app", "base", "top")
        paths = [tree.path for tree in world.layers.trees(chain_id("base", "top"))]

        freed = world.forget(image)

        assert freed.chains == (chain_id("base", "top"), chain_id("base"))
        assert freed.size == WHOLE.size + LEANING.size
        assert freed.disk_bytes >= WHOLE.disk_bytes + LEANING.disk_bytes + 512
        assert world.images.list() == []
        assert world.here(image, MANIFEST, INDEX) == [False, False, False]
        assert [world.layers.has_tree(diff_id(name)) for name in ("base", "top")] == [False, False]
        assert [path.exists() for path in paths] == [False, False]

    def test_what_another_image_needs_stays(self, world: World) -> None:
        gone, kept = world.image("gone", "base", "top"), world.image("kept", "base", "other", index=False)

        freed = world.forget(gone)

        assert freed.chains == (chain_id("base", "top"),)
        assert files(world.layers, chain_id("base", "other")) == ["base", "other-over-base"]
        assert not world.layers.has_tree(diff_id("top"))
        assert world.here(gone, kept, MANIFEST, INDEX) == [False, True, True, False]

    def test_an_image_below_another_leaves_its_layers_there(self, world: World) -> None:
        below = world.image("below", "base")
        world.image("above", "base", "top")

        assert world.forget(below).chains == ()
        assert files(world.layers, chain_id("base", "top")) == ["base", "top-over-base"]

    def test_a_layer_in_two_stacks_stays_as_long_as_one_has_it(self, world: World) -> None:
        first, second = world.image("first", "a", "shared"), world.image("second", "b", "shared")

        world.forget(first)
        between = world.layers.has_tree(diff_id("shared")), files(world.layers, chain_id("b", "shared"))
        world.forget(second)

        assert between == (True, ["b", "shared-over-b"])
        assert not world.layers.has_tree(diff_id("shared"))

    def test_a_recipe_goes_with_its_tree(self, world: World) -> None:
        world.layers.commit_chain([with_recipe(world.layers, "base")])
        parts = world.layers.tar_parts(diff_id("base"))
        assert parts is not None

        world.garbage.sweep(world.garbage.release(chain_id("base")))

        assert (parts.recipe.exists(), parts.tree.exists()) == (False, False)
        assert world.layers.tar_parts(diff_id("base")) is None

    def test_an_image_that_has_a_name_is_not_forgotten(self, world: World) -> None:
        image = world.image("app", "base")
        world.references.put_tag(Reference.parse("app:1"), image)

        with pytest.raises(ConflictError):
            world.garbage.forget_image(image)

        assert world.images.get(image) is not None
        assert world.layers.has_chain(chain_id("base"))

    def test_an_image_outlives_the_one_it_was_made_from(self, world: World) -> None:
        parent, child = world.image("parent", "base"), world.image("child", "base", "top")
        record = world.images.get(child)
        assert record is not None
        world.images.put(msgspec.structs.replace(record, parent=parent))

        world.forget(parent)

        assert (world.images.list(), world.images.count()) == ([record], 1)
        assert world.images.parents() == set()

    def test_an_image_that_is_not_here_frees_nothing(self, world: World) -> None:
        assert world.forget(ImageID(Digest.of(b"unknown"))) == Freed()
        assert world.garbage.release(chain_id("unknown")) == Freed()
        assert world.garbage.release(None) == Freed()

    def test_a_chain_that_is_needed_is_not_released(self, world: World) -> None:
        world.image("app", "base", "top")

        assert world.garbage.release(chain_id("base", "top")) == Freed()
        assert world.garbage.release(chain_id("base")) == Freed()

    def test_everything_that_nothing_needs_goes_in_one_pass(self, world: World) -> None:
        image = world.image("app", "base", "top")
        commit(world.layers, "never used")
        world.chain("base", "other")
        world.blobs.put(Digest.of(b"stray"), b"stray")
        unfinished = world.unfinished(b"unfinished")

        freed, again = world.collect(), world.collect()

        assert freed.chains == (chain_id("base", "other"),)
        assert freed.disk_bytes >= WHOLE.disk_bytes + LEANING.disk_bytes + 512
        assert again == Freed()
        assert [world.layers.has_tree(diff_id(name)) for name in ("base", "top", "other", "never used")] == [
            True,
            True,
            False,
            False,
        ]
        assert world.here(image, MANIFEST, INDEX, Digest.of(b"stray")) == [True, True, True, False]
        assert world.ingests.held(unfinished) == 1

    def test_what_went_can_come_again(self, world: World) -> None:
        world.forget(world.image("app", "base", "top"))

        world.image("app", "base", "top")

        assert world.collect() == Freed()
        assert files(world.layers, chain_id("base", "top")) == ["base", "top-over-base"]

    # Leases

    def test_what_is_leased_stays(self, world: World) -> None:
        with world.leases.hold("pull app", INDEX) as lease:
            lease.add([MANIFEST, diff_id("base"), diff_id("top"), chain_id("base", "top")])
            world.forget(world.image("app", "base", "top"))
            world.collect()

        assert world.here(MANIFEST, INDEX) == [True, False]
        assert files(world.layers, chain_id("base", "top")) == ["base", "top-over-base"]

    def test_a_lease_outlives_its_holder_until_unfinished_things_are_pruned(self, world: World) -> None:
        with world.leases.hold("pull app", INDEX) as lease:
            lease.add([MANIFEST, diff_id("base")])
            commit(world.layers, "base")
            world.blobs.put(MANIFEST, b"manifest")
            unfinished = world.unfinished(b"unfinished")
            lease.add([unfinished])
        world.collect()
        kept = (world.layers.has_tree(diff_id("base")), world.here(MANIFEST), world.ingests.held(unfinished))
        idle = world.leases.idle()

        world.collect(unfinished=True)

        assert kept == (True, [True], 1)
        assert idle == [f"pull app {INDEX}"]
        assert world.leases.idle() == []
        assert (world.layers.has_tree(diff_id("base")), world.here(MANIFEST)) == (False, [False])
        assert world.ingests.held(unfinished) == 0

    def test_what_a_running_pull_has_leased_is_not_unfinished(self, world: World) -> None:
        with world.leases.hold("pull app", INDEX) as lease:
            unfinished = world.unfinished(b"unfinished")
            lease.add([diff_id("base"), unfinished])
            commit(world.layers, "base")

            world.collect(unfinished=True)
            held = f"pull app {INDEX}" in world.leases.held

        assert world.layers.has_tree(diff_id("base"))
        assert world.ingests.held(unfinished) == 1
        assert (held, f"pull app {INDEX}" in world.leases.held) == (True, False)

    def test_an_unfinished_blob_that_is_open_is_left_alone(self, world: World) -> None:
        ingest = world.ingests.open(Digest.of(b"open"), 4)
        ingest.write_at(0, b"o")

        world.collect(unfinished=True)
        ingest.close()

        assert world.ingests.held(Digest.of(b"open")) == 1

    def test_a_lease_that_is_dropped_keeps_nothing_nor_do_idle_ones_for_the_same_purpose(self, world: World) -> None:
        for subject, layer in ((MANIFEST, "old"), (INDEX, "new")):
            with world.leases.hold("pull app:latest", subject) as lease:
                lease.add([commit(world.layers, layer)])
        with world.leases.hold("pull other", INDEX) as lease:
            lease.add([commit(world.layers, "other")])
        with world.leases.hold("pull app:latest", INDEX) as lease:
            lease.drop()
        world.collect()

        assert [world.layers.has_tree(diff_id(name)) for name in ("old", "new", "other")] == [False, False, True]

    def test_what_a_purpose_was_last_leased_for_is_known_until_it_ends(self, world: World) -> None:
        for subject in (MANIFEST, INDEX):
            with world.leases.hold("pull app:latest", subject) as lease:
                lease.add([subject])
        with world.leases.hold("pull app:latest", INDEX), world.leases.hold("pull app:latest", INDEX) as beside:
            beside.add([INDEX])
        before = world.leases.subject("pull app:latest")
        with world.leases.hold("pull app:latest", INDEX) as lease:
            lease.drop()

        assert (before, world.leases.subject("pull app:latest")) == (INDEX, None)
        assert world.leases.subject("pull app") is None

    def test_of_two_who_pull_the_same_neither_ends_the_others_lease(self, world: World) -> None:
        with world.leases.hold("pull app", INDEX) as first, world.leases.hold("pull app", INDEX) as second:
            first.add([diff_id("base")])
            second.add([diff_id("base")])
            commit(world.layers, "base")
            first.drop()
            world.collect(unfinished=True)
            between = world.layers.has_tree(diff_id("base"))
            second.drop()

        assert between
        assert world.leases.idle() == []

    def test_who_removes_an_image_removes_what_stopped_pulls_of_it_keep(self, world: World) -> None:
        image = world.image("app", "base", "top")
        with world.leases.hold("pull app again", INDEX) as lease:
            lease.add([image, MANIFEST, diff_id("base"), diff_id("top"), chain_id("base", "top")])

        world.forget(image)

        assert world.leases.idle() == []
        assert not world.layers.has_tree(diff_id("base"))
        assert world.here(image, MANIFEST) == [False, False]

    def test_a_chain_cannot_be_made_of_what_is_gone(self, world: World) -> None:
        commit(world.layers, "base")
        world.collect()

        with pytest.raises(NotFoundError):
            world.layers.commit_chain([diff_id("base")])
