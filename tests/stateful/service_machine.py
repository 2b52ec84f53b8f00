"""The image service beside `service_model`: the same done to both, and both asked the same.

A crash keeps what the kernel has and forgets the process: the data root is copied while it is open, and the copy is
opened instead.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from headway.composition.writing import writing
from headway.errors import ConflictError, NotFoundError
from headway.oci.digest import DiffID, Digest, ImageID, chain_ids
from headway.oci.reference import Reference
from headway.records import ImageRecord
from headway.service.containers.containers import Containers
from headway.service.image_service import ImageService
from headway.settings import Settings
from headway.store.data_root import DataRoot
from tests.fakes import images
from tests.fakes.house import memory_service
from tests.fakes.simulated_registry import SimulatedRegistry
from tests.stateful.service_model import Image, Model, RefusedError

LAYERS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True).map(tuple)
TAGS = st.sampled_from(["r.test/app:1", "r.test/app:2", "r.test/team/app:1"])
MARKS = st.sampled_from(["", "x"])
NAMES = st.sampled_from(["one", "two"])


@cache
def built(image: Image) -> images.Image:
    """Return an image as a registry has it."""
    layers, mark = image
    return images.image([{name: name.encode()} for name in layers], config={"Labels": {"mark": mark}})


@cache
def made(image: Image) -> bytes:
    """Return the config of an image that was made here from another: it has the same layers."""
    config = json.loads(built((image[0], "")).blobs[built((image[0], "")).image_id])
    return json.dumps({**config, "created": "2026-02-02T00:00:00Z", "config": {"Labels": {"made": image[1]}}}).encode()


def id_of(image: Image) -> ImageID:
    is_made = image[1].startswith("made")
    return ImageID(Digest.of(made(image)) if is_made else Digest(built(image).image_id))


class ServiceMachine(RuleBasedStateMachine):
    """Pulls, names, removals, containers, prunes and crashes.

    Attributes:
        operations: What was done in this process, by kind; what both refused is counted apart.
    """

    operations: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="headway-service-"))
        self.model = Model()
        self.registry = SimulatedRegistry()
        self.reopened = 0
        self.made = 0

    @initialize()
    def begin(self) -> None:
        self.open()

    @property
    def root(self) -> Path:
        return self.place / f"root-{self.reopened}"

    def open(self) -> None:
        self.opened = ExitStack()
        self.stores = self.opened.enter_context(writing(Settings(data_root=self.root), pytest.fail))
        self.service: ImageService = memory_service(self.stores, self.registry, self.root)
        self.containers = Containers(self.stores)

    def teardown(self) -> None:
        if hasattr(self, "opened"):
            self.opened.close()
        shutil.rmtree(self.place)

    # --- what is done to both -----------------------------------------------------------------------------------

    @rule(layers=LAYERS, mark=MARKS, tag=TAGS)
    def pull(self, layers: tuple[str, ...], mark: str, tag: str) -> None:
        self.operations["pulls"] += 1
        image = layers, mark
        reference = Reference.parse(tag)
        self.registry.add(built(image), reference.path, tag=reference.tag)

        async def pulled() -> str:
            async with asyncio.timeout(60), self.service:
                return (await self.service.pull_image(reference, lambda _: None)).image_id

        assert asyncio.run(pulled()) == id_of(image)
        self.model.pull(tag, image)

    @precondition(lambda self: self.model.images)
    @rule(data=st.data(), tag=st.none() | TAGS)
    def make_from_another(self, data: st.DataObject, tag: str | None) -> None:
        """Record what a commit will."""
        self.operations["images made from others"] += 1
        parent = data.draw(st.sampled_from(sorted(self.model.images)))
        self.made += 1
        image = parent[0], f"made {self.made:03}"
        record = self.stores.images.get(id_of(parent))
        assert record is not None
        self.stores.blobs.put(id_of(image), made(image))
        child = ImageRecord(
            image_id=id_of(image),
            created=f"2026-02-02T00:00:00.{self.made:06}Z",
            size=record.size,
            platform=record.platform,
            chain_id=record.chain_id,
            labels={},
            parent=record.image_id,
        )
        with self.stores.transaction():
            self.stores.images.put(child)
            self.stores.images.add_blobs(child.image_id, [])
        self.model.make(image, parent)
        if tag is not None:
            self.service.tag_image(id_of(image), tag)
            self.model.tags[tag] = image

    @rule(source=TAGS, name=TAGS)
    def tag(self, source: str, name: str) -> None:
        self.operations["tags"] += 1
        self.both(lambda: self.model.tag(source, name), lambda: self.service.tag_image(source, name))

    @rule(tag=TAGS, force=st.booleans())
    def untag(self, tag: str, force: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        self.operations["untags"] += 1
        self.remove(lambda: self.model.untag(tag, force=force), tag, force=force)

    @precondition(lambda self: self.model.digests)
    @rule(data=st.data(), force=st.booleans())
    def untag_digest(self, data: st.DataObject, force: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        self.operations["untags"] += 1
        repository, image = data.draw(st.sampled_from(sorted(self.model.digests)))
        word = f"{repository}@{built(image).manifest_digest}"
        self.remove(lambda: self.model.untag_digest(repository, image, force=force), word, force=force)

    @precondition(lambda self: self.model.images)
    @rule(data=st.data(), force=st.booleans(), length=st.sampled_from([16, 64]))
    def delete(self, data: st.DataObject, force: bool, length: int) -> None:  # noqa: FBT001 - drawn by Hypothesis
        self.operations["removals by ID"] += 1
        image = data.draw(st.sampled_from(sorted(self.model.images)))
        self.remove(lambda: self.model.delete(image, force=force), id_of(image).hex[:length], force=force)

    @precondition(lambda self: self.model.images)
    @rule(data=st.data(), name=NAMES)
    def create_container(self, data: st.DataObject, name: str) -> None:
        self.operations["containers made"] += 1
        image = data.draw(st.sampled_from(sorted(self.model.images)))
        if name not in self.model.containers:
            self.containers.create(id_of(image), name=name)
            self.model.containers[name] = image

    @rule(name=NAMES)
    def remove_container(self, name: str) -> None:
        self.operations["containers removed"] += 1
        if self.model.containers.pop(name, None) is not None:
            self.containers.remove(name)
        else:
            with pytest.raises(NotFoundError):
                self.containers.remove(name)

    @rule(every=st.booleans())
    def prune(self, every: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        self.operations["prunes"] += 1
        self.service.images_prune({"dangling": ["false" if every else "true"]})
        self.model.prune(every=every)
        self.nothing_is_left_over()

    @rule()
    def crash_and_reopen(self) -> None:
        self.operations["crashes"] += 1
        before = self.root
        shutil.copytree(before, self.place / f"root-{self.reopened + 1}", symlinks=True)
        self.opened.close()
        self.reopened += 1
        self.open()
        shutil.rmtree(before)

    def both(self, ours: Callable[[], None], theirs: Callable[[], object]) -> None:
        """Do the same to the model and to the service; both say yes, or both the same no."""
        try:
            ours()
        except RefusedError as refused:
            expected = NotFoundError if str(refused) == "not found" else ConflictError
            with pytest.raises(expected):
                theirs()
            self.operations[f"refused: {refused}"] += 1
        else:
            theirs()

    def remove(self, ours: Callable[[], None], word: str, *, force: bool) -> None:
        """Remove the same from both; what docker is told is what the model lacks afterwards."""
        images_before, names_before = set(self.model.images), self.model_names()
        done: list[tuple[str, str]] = []
        self.both(ours, lambda: done.extend(self.service.image_delete(word, force=force)))
        deleted = {item for what, item in done if what == "Deleted"} - set(map(str, self.chains()))
        untagged = {str(Reference.parse(item)) for what, item in done if what == "Untagged"}
        gone = {str(id_of(image)) for image in images_before - set(self.model.images)}
        assert gone <= deleted
        assert untagged == names_before - self.model_names()

    # --- what must be the same ----------------------------------------------------------------------------------

    def model_names(self) -> set[str]:
        digests = {f"{repository}@{built(image).manifest_digest}" for repository, image in self.model.digests}
        return {*self.model.tags, *digests}

    def chains(self) -> set[str]:
        return {str(chain_id) for chain_id in self.stores.layers.sizes()}

    @invariant()
    def both_have_the_same_images_and_names(self) -> None:
        if not hasattr(self, "stores"):
            return
        ours = {id_of(image): parent and id_of(parent) for image, parent in self.model.images.items()}
        assert {record.image_id: record.parent for record in self.service.map().values()} == ours
        tags = {tag: id_of(image) for tag, image in self.model.tags.items()}
        listed = {str(name): image_id for name, image_id in self.stores.references.list()}
        assert {name: image_id for name, image_id in listed.items() if "@" not in name} == tags
        assert set(listed) == self.model_names()

    @invariant()
    def every_image_that_is_listed_is_whole(self) -> None:
        if not hasattr(self, "stores"):
            return
        for image in self.service.images(intermediate=True):
            config = self.stores.blobs.read(image.record.image_id)
            assert Digest.of(config) == image.record.image_id
            trees = self.stores.layers.trees(image.record.chain_id)
            assert all(next(tree.path.iterdir()).read_bytes() for tree in trees)

    @invariant()
    def nothing_that_somebody_needs_is_lost(self) -> None:
        if not hasattr(self, "stores"):
            return
        here = self.chains()
        for layers in self.model.layers():
            diff_ids = tuple(DiffID(Digest(text)) for text in built((layers, "")).diff_ids)
            assert str(chain_ids(diff_ids)[-1]) in here

    def nothing_is_left_over(self) -> None:
        """Compare what lies on the disk with what the model needs."""
        root = DataRoot(self.root)
        layers = self.model.layers()
        assert len(self.chains()) == len(layers)
        trees = {built(((stack[-1],), "")).diff_ids[0] for stack in layers}
        assert {path.name.replace("-", ":", 1) for path in root.trees.iterdir()} == trees
        needed = {str(id_of(image)) for image in self.model.images}
        manifests = {built(image).manifest_digest for image in self.model.images if not image[1].startswith("made")}
        blobs = {f"sha256:{path.name}" for path in (root.blobs / "sha256").iterdir()}
        assert needed <= blobs <= needed | manifests
        assert list(root.ingests.iterdir()) == list(root.tmp.iterdir()) == []
