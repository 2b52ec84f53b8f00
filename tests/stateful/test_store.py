"""No sequence of pulls, tags, removals, collections and crashes breaks the store.

The model is a few dicts. A crash forgets the process and keeps the disk: what a call returned from must be there.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from headway.errors import ConflictError, NotFoundError
from headway.oci.digest import ChainID, DiffID, Digest, ImageID, chain_ids
from headway.oci.reference import Reference
from headway.records import ImageRecord, LayerReport
from headway.store.blobs import FileBlobStore
from headway.store.data_root import DataRoot
from headway.store.database import Database
from headway.store.images import SqliteImageStore
from headway.store.layers import SqliteLayerStore
from headway.store.recovery import Recovered, recover
from headway.store.references import SqliteReferenceStore
from tests.contract.layer_store_contract import LEANING, WHOLE, derive, diff_id

# "a" and "b" stand alone, "c" and "d" lean on what is below them.
LAYERS = st.sampled_from("abcd")
STACKS = st.lists(LAYERS, max_size=3).map(tuple)
TAGS = st.sampled_from(["app:1", "app:2", "ghcr.io/team/app:1"])
DIGESTS = st.sampled_from([f"app@{Digest.of(b'1')}", f"app@{Digest.of(b'2')}"])


def report(layer: str) -> LayerReport:
    return WHOLE if layer in "ab" else LEANING


def ids(stack: Sequence[str]) -> list[DiffID]:
    return [diff_id(layer) for layer in stack]


def top(stack: Sequence[str]) -> ChainID | None:
    return chain_ids(ids(stack))[-1] if stack else None


def config(stack: Sequence[str]) -> bytes:
    return f"config of {'/'.join(stack)}".encode()


def image_id(stack: Sequence[str]) -> ImageID:
    return ImageID(Digest.of(config(stack)))


class StoreMachine(RuleBasedStateMachine):
    """Layers, images and names on disk beside dicts that should say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="headway-stateful-"))
        self.trees: set[str] = set()
        self.chains: set[tuple[str, ...]] = set()
        self.images: set[tuple[str, ...]] = set()
        self.names: dict[str, tuple[str, ...]] = {}

    @initialize()
    def start(self) -> None:
        self.root = DataRoot(self.directory / "root")
        self.root.create()
        self.open()

    def open(self) -> Recovered:
        self.database = Database.open(self.root.database)
        found = recover(self.root, self.database)
        self.blobs = FileBlobStore(self.root)
        self.layers = SqliteLayerStore(self.root, self.database, derive=derive)
        self.image_store = SqliteImageStore(self.database)
        self.references = SqliteReferenceStore(self.database)
        return found

    @rule(layer=LAYERS)
    def commit_layer(self, layer: str) -> None:
        with self.layers.new_tree() as path:
            (path / layer).touch()
            self.layers.commit_tree(diff_id(layer), path, report(layer))
        self.trees.add(layer)

    @rule(layer=LAYERS)
    def abandon_layer(self, layer: str) -> None:
        with self.layers.new_tree() as path:
            (path / layer).touch()

    @rule(stack=STACKS)
    def commit_chain(self, stack: tuple[str, ...]) -> None:
        try:
            chain = self.layers.commit_chain(ids(stack))
        except NotFoundError:
            assert not self.trees.issuperset(stack)
        else:
            assert chain == top(stack)
            assert self.trees.issuperset(stack)
            self.chains.update(stack[: length + 1] for length in range(len(stack)))

    @rule(data=st.data(), tag=TAGS)
    def record_image(self, data: st.DataObject, tag: str) -> None:
        stack = data.draw(st.sampled_from([(), *sorted(self.chains)]))
        self.blobs.put(image_id(stack), config(stack))
        with self.database.transaction():
            self.image_store.put(
                ImageRecord(image_id=image_id(stack), created="", size=1, platform="linux/amd64", chain_id=top(stack))
            )
            self.references.put_tag(Reference.parse(tag), image_id(stack))
        self.images.add(stack)
        self.names[tag] = stack

    @precondition(lambda self: self.images)
    @rule(data=st.data(), tag=TAGS)
    def move_tag(self, data: st.DataObject, tag: str) -> None:
        stack = data.draw(st.sampled_from(sorted(self.images)))
        before = self.references.put_tag(Reference.parse(tag), image_id(stack))
        known = self.names.get(tag)
        assert before == (None if known in (None, stack) else image_id(known or ()))
        self.names[tag] = stack

    @precondition(lambda self: self.images)
    @rule(data=st.data(), digest=DIGESTS)
    def put_digest(self, data: st.DataObject, digest: str) -> None:
        stack = data.draw(st.sampled_from(sorted(self.images)))
        try:
            self.references.put_digest(Reference.parse(digest), image_id(stack))
        except ConflictError:
            assert self.names[digest] != stack
        else:
            assert self.names.setdefault(digest, stack) == stack

    @rule(name=TAGS | DIGESTS)
    def remove_name(self, name: str) -> None:
        was_there = self.references.delete(Reference.parse(name))
        assert was_there == (self.names.pop(name, None) is not None)

    @precondition(lambda self: self.images)
    @rule(data=st.data())
    def remove_image(self, data: st.DataObject) -> None:
        stack = data.draw(st.sampled_from(sorted(self.images)))
        try:
            self.image_store.delete(image_id(stack))
        except ConflictError:
            assert stack in self.names.values()
        else:
            assert stack not in self.names.values()
            self.images.remove(stack)

    @rule()
    def collect(self) -> None:
        self.layers.collect([chain for stack in self.images if (chain := top(stack)) is not None])
        self.chains = {stack[: n + 1] for stack in self.images for n in range(len(stack))}
        self.trees = {layer for stack in self.chains for layer in stack}

    @rule()
    def roll_back(self) -> None:
        with suppress(ZeroDivisionError), self.database.transaction():
            self.commit_everything_and_fail()

    def commit_everything_and_fail(self) -> None:
        for layer in "abcd":
            with self.layers.new_tree() as path:
                (path / layer).touch()
                self.layers.commit_tree(diff_id(layer), path, report(layer))
        self.layers.commit_chain(ids("abcd"))
        for name in self.names:
            self.references.delete(Reference.parse(name))
        raise ZeroDivisionError

    @rule(private=st.booleans(), is_uncommitted=st.booleans())
    def crash_and_reopen(self, private: bool, is_uncommitted: bool) -> None:  # noqa: FBT001  # drawn by Hypothesis
        if private:
            (self.root.tmp / "half" / "made").mkdir(parents=True)
        if is_uncommitted:
            (self.root.trees / "sha256-uncommitted").mkdir()
        self.database.close()

        found = self.open()

        assert (found.lost_trees, found.lost_chains, found.lost_images) == ((), 0, ())
        assert not list(self.root.tmp.iterdir())
        assert not (self.root.trees / "sha256-uncommitted").exists()

    @invariant()
    def layers_agree(self) -> None:
        assert {layer for layer in "abcd" if self.layers.has_tree(diff_id(layer))} == self.trees
        for stack in self.chains:
            trees = self.layers.trees(top(stack))
            found = [next(tree.path.iterdir()).name for tree in trees]
            assert [name.partition("-")[0] for name in found] == list(stack)
            assert all(tree.report.stands_alone for tree in trees[1:]), (
                "only derived trees lie on others where a layer leans"
            )

    @invariant()
    def images_are_whole(self) -> None:
        records = self.image_store.list()
        assert {record.image_id for record in records} == {image_id(stack) for stack in self.images}
        for record in records:
            self.blobs.read(record.image_id)
            self.layers.trees(record.chain_id)

    @invariant()
    def names_agree(self) -> None:
        expected = {str(Reference.parse(name)): image_id(stack) for name, stack in self.names.items()}
        assert {str(name): image for name, image in self.references.list()} == expected

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
        shutil.rmtree(self.directory)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
